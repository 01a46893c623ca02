/*
 * The mix of an embedded core benchmark: linked lists (find, reverse, merge sort through a comparison pointer), small
 * integer matrices, a state machine over text, and CRC-16 of it all.
 */
#include "runtime.h"

struct node {
  struct node *next;
  i16 value;
  i16 index;
};

enum { NODES = 200, SIZE = 16 };

static struct node nodes[NODES];
static i16 left[SIZE * SIZE], right[SIZE * SIZE];
static i32 product[SIZE * SIZE];

static NOINLINE u16 crc_byte(u8 byte, u16 crc) {
  crc ^= byte << 8;
  for (int bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1;
  return crc;
}

static NOINLINE u16 crc_half(u16 half, u16 crc) { return crc_byte(half >> 8, crc_byte(half & 255, crc)); }

static NOINLINE u16 crc_word(u32 word, u16 crc) { return crc_half(word >> 16, crc_half(word & 0xffff, crc)); }

static NOINLINE struct node *reverse(struct node *list) {
  struct node *done = 0;
  while (list) {
    struct node *rest = list->next;
    list->next = done;
    done = list;
    list = rest;
  }
  return done;
}

static NOINLINE struct node *find(struct node *list, int low_byte) {
  while (list && (list->value & 255) != low_byte) list = list->next;
  return list;
}

typedef int order(const struct node *, const struct node *);

static NOINLINE int by_value(const struct node *a, const struct node *b) { return a->value - b->value; }
static NOINLINE int by_index(const struct node *a, const struct node *b) { return a->index - b->index; }

/* Takes up to `count` nodes off the front of `list` and returns the rest. */
static struct node *skip(struct node *list, int count) {
  while (list && count-- > 0) list = list->next;
  return list;
}

/* Bottom-up merge sort: runs of 1, 2, 4 … nodes are merged until one is left. */
static NOINLINE struct node *sort(struct node *list, order *compare) {
  for (int length = 1;; length *= 2) {
    struct node *rest = list, *sorted = 0, **end = &sorted;
    int merges = 0;
    while (rest) {
      struct node *a = rest, *b = skip(a, length);
      int a_left = length, b_left = length;
      merges++;
      while (a_left > 0 || (b_left > 0 && b)) {
        struct node **from;
        if (a_left == 0) from = &b;
        else if (b_left == 0 || !b) from = &a;
        else from = compare(a, b) <= 0 ? &a : &b;
        if (from == &a) {
          a_left--;
          if (a_left > 0 && !a->next) a_left = 0;
        } else {
          b_left--;
        }
        *end = *from;
        end = &(*from)->next;
        *from = (*from)->next;
      }
      rest = b;
    }
    *end = 0;
    list = sorted;
    if (merges <= 1) return list;
  }
}

static NOINLINE i32 multiply(int add) {
  i32 sum = 0;
  for (int i = 0; i < SIZE * SIZE; i++) left[i] += add;
  for (int row = 0; row < SIZE; row++)
    for (int column = 0; column < SIZE; column++) {
      i32 total = 0;
      for (int k = 0; k < SIZE; k++) {
        i32 term = left[row * SIZE + k] * right[k * SIZE + column];
        total += (term >> 2 & 15) * (term >> 5 & 127);
      }
      product[row * SIZE + column] = total;
    }
  for (int i = 0; i < SIZE * SIZE; i++) {
    sum += product[i];
    if (sum > 100000) sum -= 99991;
    left[i] -= add;
  }
  return sum;
}

enum state { START, SIGN, INTEGER, FRACTION, EXPONENT, EXPONENT_SIGN, EXPONENT_DIGITS, INVALID, STATES };

static const char numbers[] = "512,-7,+31,90210,1.25,-.75,+8.,.5,2.5e9,-4E-3,+6e+2,.125e1,q1,7..1,3f,--2,9.x,1e*,";

static int digit(u8 c) { return c >= '0' && c <= '9'; }

/* Recognises one number, counts the state changes, and leaves `*text` behind the comma. */
static NOINLINE enum state recognise(const char **text, u32 *changes) {
  enum state state = START;
  const char *at = *text;
  while (*at && *at != ',') {
    u8 c = *at++;
    enum state next = INVALID;
    switch (state) {
      case START: next = digit(c) ? INTEGER : c == '+' || c == '-' ? SIGN : c == '.' ? FRACTION : INVALID; break;
      case SIGN: next = digit(c) ? INTEGER : c == '.' ? FRACTION : INVALID; break;
      case INTEGER: next = digit(c) ? INTEGER : c == '.' ? FRACTION : INVALID; break;
      case FRACTION: next = digit(c) ? FRACTION : c == 'e' || c == 'E' ? EXPONENT : INVALID; break;
      case EXPONENT: next = c == '+' || c == '-' ? EXPONENT_SIGN : digit(c) ? EXPONENT_DIGITS : INVALID; break;
      case EXPONENT_SIGN:
      case EXPONENT_DIGITS: next = digit(c) ? EXPONENT_DIGITS : INVALID; break;
      default: break;
    }
    if (next != state) changes[next]++;
    state = next;
  }
  *text = *at ? at + 1 : at;
  return state;
}

void run(void) {
  u32 random = 12345;
  u16 crc = 0;
  for (int i = 0; i < SIZE * SIZE; i++) {
    left[i] = next_random(&random) >> 18;
    right[i] = next_random(&random) >> 20;
  }
  struct node *list = 0;
  for (int i = 0; i < NODES; i++) {
    nodes[i] = (struct node){list, next_random(&random) >> 17, i};
    list = &nodes[i];
  }
  for (int round = 0; round < 8000 * SCALE; round++) {
    u32 changes[STATES] = {0};
    for (int k = 0; k < 20; k++) {
      list = reverse(list);
      struct node *found = find(list, (round + k) & 255);
      if (found) crc = crc_half(found->value, crc);
    }
    list = sort(list, by_value);
    crc = crc_half(list->value, crc);
    list = sort(list, by_index);
    crc = crc_half(list->value, crc);
    for (int add = 1; add <= 2; add++) crc = crc_word(multiply(add), crc);
    for (int k = 0; k < 6; k++)
      for (const char *text = numbers; *text;) changes[START] += recognise(&text, changes);
    for (int i = 0; i < STATES; i++) crc = crc_word(changes[i], crc);
    for (int i = 0; i < 60; i++) crc = crc_word(i * round, crc);
  }
  print_hex(crc);
}
