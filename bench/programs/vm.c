/* A stack machine's interpreter: one switch in a loop, as a scripting language has it. */
#include "runtime.h"

enum { PUSH, LOAD, STORE, ADD, MUL, LESS, JUMP_IF_NOT, JUMP, AND, XOR, SHIFT_RIGHT, DUP, DROP, FETCH, HALT };

enum { LOOPS = 2500000 * SCALE };

/*
 * for (i = 0, x = 1; i < LOOPS; i++) {
 *   t = x * i + 7;
 *   x = t >> 3 ^ t;
 *   count = table[x & 255] + 1;
 * }
 */
enum { I, X, T, COUNT, VARIABLES };
static const i32 program[] = {
    /*  0 */ PUSH, 0, STORE, I, PUSH, 1, STORE, X,
    /*  8 */ LOAD, I, PUSH, LOOPS, LESS, JUMP_IF_NOT, 57,
    /* 15 */ LOAD, X, LOAD, I, MUL, PUSH, 7, ADD, STORE, T,
    /* 25 */ LOAD, T, PUSH, 3, SHIFT_RIGHT, LOAD, T, XOR, STORE, X,
    /* 35 */ LOAD, X, PUSH, 255, AND, DUP, FETCH, PUSH, 1, ADD, STORE, COUNT, DROP,
    /* 48 */ LOAD, I, PUSH, 1, ADD, STORE, I,
    /* 55 */ JUMP, 8,
    /* 57 */ HALT};

static i32 table[256];

static NOINLINE u32 interpret(const i32 *code) {
  i32 stack[32], *top = stack, variables[VARIABLES] = {0};
  for (const i32 *at = code;;) {
    switch (*at++) {
      case PUSH: *top++ = *at++; break;
      case LOAD: *top++ = variables[*at++]; break;
      case STORE: variables[*at++] = *--top; break;
      case ADD: top--; top[-1] = (u32)top[-1] + (u32)top[0]; break;
      case MUL: top--; top[-1] = (u32)top[-1] * (u32)top[0]; break;
      case LESS: top--; top[-1] = top[-1] < top[0]; break;
      case JUMP_IF_NOT: {
        i32 target = *at++;
        if (!*--top) at = code + target;
        break;
      }
      case JUMP: at = code + *at; break;
      case AND: top--; top[-1] &= top[0]; break;
      case XOR: top--; top[-1] ^= top[0]; break;
      case SHIFT_RIGHT: top--; top[-1] = (u32)top[-1] >> top[0]; break;
      case DUP: *top = top[-1]; top++; break;
      case DROP: top--; break;
      case FETCH: top[-1] = table[top[-1]]; break;
      case HALT: return variables[X] ^ variables[T] ^ variables[COUNT];
      default: return 0xdead;
    }
  }
}

void run(void) {
  for (int i = 0; i < 256; i++) table[i] = i * 31;
  print_hex(interpret(program));
}
