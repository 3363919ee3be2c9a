/* The C interface of the CPU kernels: what a layer, a norm and a stack are computed from.
 *
 * Sizes and strides count elements, never bytes. Memory belongs to the caller and is neither kept nor freed. No two
 * pointers of one call may overlap unless it is said. A pointer that may be NULL says so. Nothing here checks anything:
 * gatewise/kernels/cpu/kernel.py does, before a pointer is passed.
 *
 * Shape letters are those of gatewise/equations.py: T steps, B rows, I input size, H hidden size, P size of h (the
 * projection's, or H), D directions, G gates (3 where the forget gate has no weights of its own, else 4).
 */
#ifndef GATEWISE_API_H
#define GATEWISE_API_H

#include <stdint.h>

#define GATEWISE_ABI 2 /* raised with every change of this file; Python refuses a library of another version */

#ifdef __cplusplus
extern "C" {
#endif

enum gatewise_dtype { GATEWISE_FLOAT32 = 0, GATEWISE_BFLOAT16 = 1 };
enum gatewise_forget { GATEWISE_FORGET_GATE = 0, GATEWISE_COUPLED = 1, GATEWISE_NO_FORGET = 2 }; /* (3) and (3') */
enum gatewise_save { GATEWISE_NOTHING = 0, GATEWISE_TAPE = 1, GATEWISE_TRACE = 2 };

/* The parameters of one direction, or their gradients; contiguous, in the call's dtype. NULL: not there. */
typedef struct {
  void *weight_ih;       /* [G*H, I] */
  void *weight_hh;       /* [G*H, P] */
  void *bias_ih;         /* [G*H] */
  void *bias_hh;         /* [G*H] */
  void *weight_hr;       /* [P, H] */
  void *weight_peephole; /* [G-1, H] */
  void *gain_ih;         /* [G*H] */
  void *gain_hh;         /* [G*H] */
  void *gain_c;          /* [H] */
} gatewise_weights;

/* A tensor [T, B, n] of any strides. */
typedef struct {
  void *data;
  int64_t stride_t, stride_b, stride_n;
} gatewise_sequence;

/* One layer of one or two directions, and one call. */
typedef struct {
  int64_t T, B, I, H, P, D;
  int32_t dtype;   /* gatewise_dtype: of every void pointer */
  int32_t forget;  /* gatewise_forget */
  int32_t norm;    /* 1: layer normalisation (1', 7) */
  int32_t project; /* 1: (7') acts; else P = H */
  int32_t threads; /* at most so many; the results do not depend on it */
  int32_t save;    /* forward: gatewise_save */
  int32_t wide_c;  /* forward: 1: c_0 and c_n are float32, whatever the dtype */
  gatewise_weights weights[2];
  gatewise_sequence input; /* [T, B, I]; what lies beyond a row's length is not read */
  const void *h_0, *c_0;   /* [D, B, P], [D, B, H]; NULL: zeros */
  const int64_t *lengths;  /* [B], in 0..T; NULL: all T */
  const uint8_t *resets;   /* [T, B], 0 or 1; NULL: none */
  const void *mask_h;      /* m_h [D, B, P]; NULL: does not act */
  const void *mask_g;      /* m_g [D, T, B, H] */
  const void *keep_h;      /* k_h [D, T, B, P]; NULL: keep_h_mean */
  const void *keep_c;      /* k_c [D, T, B, H]; NULL: keep_c_mean */
  float keep_h_mean;       /* 1: no zoneout */
  float keep_c_mean;
  void *output;    /* [T, B, D*P], contiguous; zero beyond lengths */
  void *h_n, *c_n; /* [D, B, P], [D, B, H] */
  float *tape;     /* with GATEWISE_TAPE as many floats as tape_size says, written by forward and read by backward;
                      with GATEWISE_TRACE [5, D, T, B, blocks of H * lanes]: i f g o, and c as the next step sees it;
                      padding, and lanes behind H, are not written */

  /* Backward only. */
  gatewise_sequence d_output;    /* [T, B, D*P]; data NULL: zero */
  const void *d_h_n, *d_c_n;     /* NULL: zero */
  void *d_input;                 /* [T, B, I], contiguous; NULL: nobody asks */
  void *d_h_0, *d_c_0;           /* [D, B, P], [D, B, H] */
  gatewise_weights d_weights[2]; /* as weights; NULL where that is NULL */
} gatewise_layer;

/* Batch normalisation over the real steps of a padded sequence, then dropout. Every sequence has stride_n 1. */
typedef struct {
  int64_t T, B, C;
  int32_t dtype;           /* gatewise_dtype: of the sequences */
  int32_t threads;         /* at most so many; the results do not depend on it */
  float eps;               /* added to the variance */
  uint32_t dropped;        /* of 65536 values so many become zero; 0: no dropout */
  const int64_t *seed;     /* one number: with t, b and c, all that dropout depends on; NULL: no dropout */
  gatewise_sequence input; /* [T, B, C]; padding is not read */
  const uint8_t *mask;     /* [T, B], 1 = real; NULL: all are real */
  int64_t mask_stride_t, mask_stride_b;
  const float *weight, *bias;   /* [C] */
  const float *mean, *variance; /* [C]; both NULL: of this batch */
  gatewise_sequence output;     /* [T, B, C]; zero in the padding */
  float *moments; /* [3, C]: mean, 1 / sqrt(variance + eps), and the variance over n - 1, or the given one;
                                 written by forward, read by backward */

  /* Backward only; the rest as in forward, but for bias and output, which are not looked at. */
  gatewise_sequence d_output; /* [T, B, C]; padding is not read */
  gatewise_sequence d_input;  /* [T, B, C]; zero in the padding; data NULL: nobody asks */
  float *d_weight, *d_bias;   /* [C] */
} gatewise_norm;

/* Dropout of n values that lie one behind the other. Its own derivative: call it with the gradient. */
typedef struct {
  int64_t n;
  int32_t dtype;
  int32_t threads;
  uint32_t dropped;    /* as in gatewise_norm */
  const int64_t *seed; /* one number, of which alone, with a value's place, dropout is a function */
  const void *input;   /* [n] */
  void *output;        /* [n] */
} gatewise_dropout;

/* Sums over the rows of a matrix [n, H], for each of its columns. */
typedef struct {
  int64_t n, H, stride; /* stride: floats from one row to the next */
  float above, below;
  const float *x;
  const float *centre; /* [H] */
  float *sums;         /* [4, H]: of x; of how many are above; below; and of the squares of x - centre */
} gatewise_columns;

/* A stack of layers that takes one step after another. Of each gatewise_layer it uses what a forward pass uses, with T
 * and D 1, no lengths, resets and masks, and save 0. h_0 and h_n are one memory, as are c_0 and c_n: the state, kept
 * from step to step by the caller. `input.data` of the first layer and all of `input` of the others is found by itself;
 * `output` is not used. Weights are copied. `memory` is stack_bytes bytes, begins at a multiple of 64, never moves. */

/* What one instruction set offers. */
typedef struct {
  int32_t lanes;        /* floats in a vector, L */
  int32_t bf16_product; /* 1: products of bfloat16 at full speed; 0: by way of float32 */
  int64_t (*tape_size)(const gatewise_layer *);
  /* 0, or 1 where there is too little memory: then nothing that was written counts. */
  int32_t (*forward)(const gatewise_layer *);
  int32_t (*backward)(const gatewise_layer *);
  int32_t (*norm_forward)(const gatewise_norm *); /* 0, or 1: out of memory */
  int32_t (*norm_backward)(const gatewise_norm *);
  void (*dropout)(const gatewise_dropout *);
  int64_t (*stack_bytes)(const gatewise_layer *layers, int64_t count);
  void (*stack_make)(const gatewise_layer *layers, int64_t count, void *memory);
  void (*stack_step)(void *memory, int32_t dtype, const void *input,
                     void *output); /* [B, I] to the last layer's [B, P] */
  void (*column_sums)(const gatewise_columns *);
} gatewise_functions;

#ifdef __cplusplus
}
#endif
#endif
