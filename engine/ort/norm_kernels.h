// The kernels of norm.h for one width of vectors; see vector.h.
#include "norm.h"
#include "vector.h"

// NORM_BLOCK is how many values are summed in float32 before their sum goes to float64, in 64 chains of 64 additions: the same ones
// for every width of vectors, so that the sums are the same too.
enum { NORM_BLOCK = 4096, CHAINS = 64, SUMS = CHAINS / CG_LANES };

INLINE double sum_of(const float *x, size_t n, float shift, const int square) {
  const vec by = vset(shift);
  double total = 0;
  for (size_t from = 0; from < n; from += NORM_BLOCK) {
    size_t end = n - from < NORM_BLOCK ? n : from + NORM_BLOCK;
    vec s[SUMS];
#pragma GCC unroll 8
    for (int i = 0; i < SUMS; i++) s[i] = vzero();
    for (size_t at = from; at < end; at += CHAINS) {
#pragma GCC unroll 8
      for (size_t i = 0; i < SUMS; i++) {
        size_t here = at + CG_LANES * i;
        if (here >= end) break;
        size_t left = end - here < CG_LANES ? end - here : CG_LANES;
        vec v = vfirst(vadd(vload_n(x + here, left), by), left);
        s[i] = square ? vfma(v, v, s[i]) : vadd(s[i], v);
      }
    }
    total += (double)vsum64(s);
  }
  return total;
}

VECTOR static double sum(const float *x, size_t n, float shift) { return sum_of(x, n, shift, 0); }
VECTOR static double squares(const float *x, size_t n, float shift) { return sum_of(x, n, shift, 1); }

// vexp is the exponential function: a power of two times a polynomial over +-ln(2)/2 (Cephes), with an error below 2 units
// in the last place; beyond float32's range infinity or zero.
INLINE vec vexp(vec x) {
  static const float c[] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
  x = vmax(vset(-128), vmin(vset(128), x));  // NaN, the second operand, stays
  vec n = vround(vmul(x, vset(1.44269504088896341f)));
  x = vfnma(n, vset(0.693359375f), x);
  x = vfnma(n, vset(-2.12194440e-4f), x);
  vec p = vset(c[0]);
  for (int i = 1; i < 6; i++) p = vfma(p, x, vset(c[i]));
  p = vfma(p, vmul(x, x), vadd(x, vset(1)));
  return vscale(p, n);
}

VECTOR static void affine(const float *x, size_t n, float shift, float scale, float bias, int silu, float *y) {
  const vec by = vset(shift), a = vset(scale), b = vset(bias), one = vset(1);
  for (size_t i = 0; i < n; i += CG_LANES) {
    size_t left = n - i < CG_LANES ? n - i : CG_LANES;
    vec v = vfma(vadd(vload_n(x + i, left), by), a, b);
    if (silu) v = vdiv(v, vadd(one, vexp(vsub(vzero(), v))));
    vstore_n(y + i, left, v);
  }
}
