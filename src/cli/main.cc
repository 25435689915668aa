#include <cstdio>

int main() {
  std::puts("beryl");
  return 0;
}
