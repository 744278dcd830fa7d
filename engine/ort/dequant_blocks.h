// The decoders of blocks, compiled once for each instruction set: CG_NAME gives each copy its own names. The loops are
// written so that compilers vectorize them. Block layouts: ggml-quants.c and gguf-py of llama.cpp; OCP microscaling
// formats for E8M0, E4M3, E5M2 and E2M1.

// A row of bytes, each times a factor.
static void CG_NAME(row_e4m3)(const uint8_t *p, float s, float *y, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] = e4m3(p[i]) * s;
}

static void CG_NAME(row_e5m2)(const uint8_t *p, float s, float *y, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] = e5m2(p[i]) * s;
}

static void CG_NAME(row_recast)(const uint8_t *p, const float *values, float s, float *y, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] = values[p[i]] * s;
}

static void CG_NAME(row_int8)(const uint8_t *p, float s, float *y, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] = (float)(int8_t)p[i] * s;
}

static void CG_NAME(row_int4)(const uint8_t *p, float s, float *y, size_t n) {
  for (size_t i = 0; i < n / 2; i++) {
    y[2 * i] = (float)((int8_t)(uint8_t)(p[i] << 4) >> 4) * s;
    y[2 * i + 1] = (float)((int8_t)p[i] >> 4) * s;
  }
}

// A group of elements by their levels, rounded to whole numbers.
static void CG_NAME(grouped)(const uint8_t *p, const float *levels, float group, float s, float *y, size_t n) {
  for (size_t i = 0; i < n; i++) {
    float v = levels[(i % 2 ? p[i / 2] >> 4 : p[i / 2]) & 15] * group;
    v = whole(v);
    y[i] = (v > 127 ? 127 : v < -127 ? -127 : v) * s;
  }
}

// Sixteen E2M1, the first of each pair in the upper half of a byte.
static void CG_NAME(nv4)(const uint8_t *p, float s, float *y) {
  for (int i = 0; i < 8; i++) {
    y[2 * i] = (float)fp4[p[i] >> 4] * 0.5f * s;
    y[2 * i + 1] = (float)fp4[p[i] & 15] * 0.5f * s;
  }
}

static void CG_NAME(q4_0)(const uint8_t *p, float *y) {
  float d = half(p);
  for (int i = 0; i < 16; i++) {
    y[i] = (float)((p[2 + i] & 15) - 8) * d;
    y[i + 16] = (float)((p[2 + i] >> 4) - 8) * d;
  }
}

static void CG_NAME(q4_1)(const uint8_t *p, float *y) {
  float d = half(p), m = half(p + 2);
  for (int i = 0; i < 16; i++) {
    y[i] = (float)(p[4 + i] & 15) * d + m;
    y[i + 16] = (float)(p[4 + i] >> 4) * d + m;
  }
}

static void CG_NAME(q5)(const uint8_t *p, const uint8_t *qs, uint32_t high, int zero, float d, float m, float *y) {
  (void)p;
  for (int i = 0; i < 16; i++) {
    y[i] = (float)((int)(qs[i] & 15) + (int)(high >> i & 1) * 16 - zero) * d + m;
    y[i + 16] = (float)((int)(qs[i] >> 4) + (int)(high >> (i + 16) & 1) * 16 - zero) * d + m;
  }
}

static void CG_NAME(q5_0)(const uint8_t *p, float *y) { CG_NAME(q5)(p, p + 6, word(p + 2), 16, half(p), 0, y); }
static void CG_NAME(q5_1)(const uint8_t *p, float *y) { CG_NAME(q5)(p, p + 8, word(p + 4), 0, half(p), half(p + 2), y); }

static void CG_NAME(q8_0)(const uint8_t *p, float *y) {
  float d = half(p);
  for (int i = 0; i < 32; i++) y[i] = (float)(int8_t)p[2 + i] * d;
}

static void CG_NAME(q2_k)(const uint8_t *p, float *y) {
  const uint8_t *scales = p, *qs = p + 16;
  float d = half(p + 80), m = half(p + 82);
  for (int g = 0; g < 16; g++) {  // groups of 16 elements
    float dl = d * (float)(scales[g] & 15), ml = m * (float)(scales[g] >> 4);
    const uint8_t *q = qs + g / 8 * 32 + g % 2 * 16;
    int shift = g / 2 % 4 * 2;
    for (int i = 0; i < 16; i++) y[g * 16 + i] = dl * (float)(q[i] >> shift & 3) - ml;
  }
}

static void CG_NAME(q3_k)(const uint8_t *p, float *y) {
  const uint8_t *mask = p, *qs = p + 32, *packed = p + 96;
  float d = half(p + 108);
  for (int g = 0; g < 16; g++) {
    int low = packed[g % 8] >> (g / 8 * 4) & 15, high = packed[8 + g % 4] >> (g / 4 * 2) & 3;
    float dl = d * (float)((low | high << 4) - 32);
    const uint8_t *q = qs + g / 8 * 32 + g % 2 * 16, *h = mask + g % 2 * 16;
    int shift = g / 2 % 4 * 2, bit = g / 2;
    for (int i = 0; i < 16; i++) y[g * 16 + i] = dl * (float)((q[i] >> shift & 3) - ((h[i] >> bit & 1) ^ 1) * 4);
  }
}

// The eight scales and minima of six bits that Q4_K and Q5_K pack into twelve bytes.
static void CG_NAME(six_bits)(const uint8_t *s, int g, int *scale, int *min) {
  if (g < 4) {
    *scale = s[g] & 63;
    *min = s[g + 4] & 63;
  } else {
    *scale = (s[g + 4] & 15) | (s[g - 4] >> 2 & 0x30);
    *min = s[g + 4] >> 4 | (s[g] >> 2 & 0x30);
  }
}

static void CG_NAME(q4_k)(const uint8_t *p, float *y) {
  float d = half(p), m = half(p + 2);
  for (int g = 0; g < 8; g++) {
    int scale, min;
    CG_NAME(six_bits)(p + 4, g, &scale, &min);
    float dl = d * (float)scale, ml = m * (float)min;
    const uint8_t *q = p + 16 + g / 2 * 32;
    int shift = g % 2 * 4;
    for (int i = 0; i < 32; i++) y[g * 32 + i] = dl * (float)(q[i] >> shift & 15) - ml;
  }
}

static void CG_NAME(q5_k)(const uint8_t *p, float *y) {
  float d = half(p), m = half(p + 2);
  const uint8_t *h = p + 16;
  for (int g = 0; g < 8; g++) {
    int scale, min;
    CG_NAME(six_bits)(p + 4, g, &scale, &min);
    float dl = d * (float)scale, ml = m * (float)min;
    const uint8_t *q = p + 48 + g / 2 * 32;
    int shift = g % 2 * 4;
    for (int i = 0; i < 32; i++) y[g * 32 + i] = dl * (float)((q[i] >> shift & 15) | (h[i] >> g & 1) << 4) - ml;
  }
}

static void CG_NAME(q6_k)(const uint8_t *p, float *y) {
  const int8_t *scales = (const int8_t *)p + 192;
  float d = half(p + 208);
  for (int g = 0; g < 16; g++) {
    float dl = d * (float)scales[g];
    // 128 elements share 64 bytes of lower and 32 of upper bits.
    int part = g / 8, quarter = g / 2 % 4, at = g % 2 * 16;
    const uint8_t *l = p + part * 64 + quarter % 2 * 32 + at, *h = p + 128 + part * 32 + at;
    int low = quarter / 2 * 4, high = quarter * 2;
    for (int i = 0; i < 16; i++) y[g * 16 + i] = dl * (float)(((l[i] >> low & 15) | (h[i] >> high & 3) << 4) - 32);
  }
}

static void CG_NAME(tq1_0)(const uint8_t *p, float *y) {
  static const uint8_t power[5] = {1, 3, 9, 27, 81};
  float d = half(p + 52);
  for (int k = 0; k < 5; k++)
    for (int i = 0; i < 32; i++) y[k * 32 + i] = (float)((int)((uint8_t)(p[i] * power[k]) * 3 >> 8) - 1) * d;
  for (int k = 0; k < 5; k++)
    for (int i = 0; i < 16; i++) y[160 + k * 16 + i] = (float)((int)((uint8_t)(p[32 + i] * power[k]) * 3 >> 8) - 1) * d;
  for (int k = 0; k < 4; k++)
    for (int i = 0; i < 4; i++) y[240 + k * 4 + i] = (float)((int)((uint8_t)(p[48 + i] * power[k]) * 3 >> 8) - 1) * d;
}

static void CG_NAME(tq2_0)(const uint8_t *p, float *y) {
  float d = half(p + 64);
  for (int part = 0; part < 2; part++)
    for (int k = 0; k < 4; k++)
      for (int i = 0; i < 32; i++) y[part * 128 + k * 32 + i] = (float)((p[part * 32 + i] >> (2 * k) & 3) - 1) * d;
}

static void CG_NAME(mxfp4)(const uint8_t *p, float *y) {
  float d = bits(p[0] < 2 ? 0x00200000u << p[0] : (uint32_t)(p[0] - 1) << 23);  // half of the power of two
  for (int i = 0; i < 16; i++) {
    y[i] = (float)fp4[p[1 + i] & 15] * d;
    y[i + 16] = (float)fp4[p[1 + i] >> 4] * d;
  }
}

static void CG_NAME(nvfp4)(const uint8_t *p, float *y) {
  for (int g = 0; g < 4; g++) {
    float d = p[g] == 0x7f ? 0 : bits((uint32_t)(p[g] & 0x7f) << 20) * 0x1p119f;  // half of an unsigned E4M3
    const uint8_t *q = p + 4 + g * 8;
    for (int i = 0; i < 8; i++) {
      y[g * 16 + i] = (float)fp4[q[i] & 15] * d;
      y[g * 16 + 8 + i] = (float)fp4[q[i] >> 4] * d;
    }
  }
}

// Eight elements of a grid with their signs, one bit each.
static void CG_NAME(signed8)(const int8_t *grid, uint8_t signs, float d, float *y) {
  for (int i = 0; i < 8; i++) y[i] = d * (float)grid[i] * (float)(1 - 2 * (int)(signs >> i & 1));
}

static void CG_NAME(iq2_xxs)(const uint8_t *p, float *y) {
  float d = half(p);
  for (int g = 0; g < 8; g++) {
    const uint8_t *q = p + 2 + g * 8;
    uint32_t s = word(q + 4);
    float dl = d * (0.5f + (float)(s >> 28)) * 0.25f;
    for (int k = 0; k < 4; k++) CG_NAME(signed8)(grid_iq2_xxs[q[k]], parity[s >> (7 * k) & 127], dl, y + g * 32 + k * 8);
  }
}

static void CG_NAME(iq2_xs)(const uint8_t *p, float *y) {
  float d = half(p);
  for (int g = 0; g < 32; g++) {
    int q = p[2 + 2 * g] | p[3 + 2 * g] << 8;
    float dl = d * (0.5f + (float)(p[66 + g / 4] >> (g / 2 % 2 * 4) & 15)) * 0.25f;
    CG_NAME(signed8)(grid_iq2_xs[q & 511], parity[q >> 9], dl, y + g * 8);
  }
}

static void CG_NAME(iq2_s)(const uint8_t *p, float *y) {
  float d = half(p);
  for (int g = 0; g < 32; g++) {
    int q = p[2 + g] | (p[66 + g / 4] >> (g % 4 * 2) & 3) << 8;
    float dl = d * (0.5f + (float)(p[74 + g / 4] >> (g / 2 % 2 * 4) & 15)) * 0.25f;
    CG_NAME(signed8)(grid_iq2_s[q], p[34 + g], dl, y + g * 8);
  }
}

static void CG_NAME(iq3_xxs)(const uint8_t *p, float *y) {
  float d = half(p);
  for (int g = 0; g < 8; g++) {
    uint32_t s = word(p + 66 + 4 * g);
    float dl = d * (0.5f + (float)(s >> 28)) * 0.5f;
    for (int k = 0; k < 4; k++) {
      int8_t both[8];
      memcpy(both, grid_iq3_xxs[p[2 + g * 8 + 2 * k]], 4);
      memcpy(both + 4, grid_iq3_xxs[p[3 + g * 8 + 2 * k]], 4);
      CG_NAME(signed8)(both, parity[s >> (7 * k) & 127], dl, y + g * 32 + k * 8);
    }
  }
}

static void CG_NAME(iq3_s)(const uint8_t *p, float *y) {
  float d = half(p);
  for (int g = 0; g < 32; g++) {
    float dl = d * (float)(1 + 2 * (p[106 + g / 8] >> (g / 4 % 2 * 4) & 15));
    int8_t both[8];
    for (int k = 0; k < 2; k++) {
      int at = 2 * g + k, q = p[2 + at] | (p[66 + at / 8] >> (at % 8) & 1) << 8;
      memcpy(both + 4 * k, grid_iq3_s[q], 4);
    }
    CG_NAME(signed8)(both, p[74 + g], dl, y + g * 8);
  }
}

static void CG_NAME(offset8)(const int8_t *grid, int negative, float d, float *y) {
  float delta = negative ? -0.125f : 0.125f;
  for (int i = 0; i < 8; i++) y[i] = d * ((float)grid[i] + delta);
}

static void CG_NAME(iq1_s)(const uint8_t *p, float *y) {
  float d = half(p);
  for (int g = 0; g < 8; g++) {
    int h = p[34 + 2 * g] | p[35 + 2 * g] << 8;
    float dl = d * (float)(2 * (h >> 12 & 7) + 1);
    for (int k = 0; k < 4; k++)
      CG_NAME(offset8)(grid_iq1[p[2 + g * 4 + k] | (h >> (3 * k) & 7) << 8], h & 0x8000, dl, y + g * 32 + k * 8);
  }
}

static void CG_NAME(iq1_m)(const uint8_t *p, float *y) {
  int s[4];
  for (int i = 0; i < 4; i++) s[i] = p[48 + 2 * i] | p[49 + 2 * i] << 8;
  int bits16 = s[0] >> 12 | (s[1] >> 8 & 0xf0) | (s[2] >> 4 & 0xf00) | (s[3] & 0xf000);
  uint8_t two[2] = {(uint8_t)bits16, (uint8_t)(bits16 >> 8)};
  float d = half(two);
  for (int g = 0; g < 32; g++) {
    float dl = d * (float)(2 * (s[g / 8] >> (g / 2 % 4 * 3) & 7) + 1);
    int h = p[32 + g / 2] >> (g % 2 * 4);
    CG_NAME(offset8)(grid_iq1[p[g] | (h & 7) << 8], h & 8, dl, y + g * 8);
  }
}

static void CG_NAME(iq4_nl)(const uint8_t *p, float *y) {
  float d = half(p);
  for (int i = 0; i < 16; i++) {
    y[i] = (float)iq4[p[2 + i] & 15] * d;
    y[i + 16] = (float)iq4[p[2 + i] >> 4] * d;
  }
}

static void CG_NAME(iq4_xs)(const uint8_t *p, float *y) {
  float d = half(p);
  int high = p[2] | p[3] << 8;
  for (int g = 0; g < 8; g++) {
    int scale = (p[4 + g / 2] >> (g % 2 * 4) & 15) | (high >> (2 * g) & 3) << 4;
    float dl = d * (float)(scale - 32);
    const uint8_t *q = p + 8 + g * 16;
    for (int i = 0; i < 16; i++) {
      y[g * 32 + i] = (float)iq4[q[i] & 15] * dl;
      y[g * 32 + 16 + i] = (float)iq4[q[i] >> 4] * dl;
    }
  }
}

// One row of a matrix.
static void CG_NAME(row)(const cg_matrix *m, size_t r, float *y) {
  size_t elements, bytes;
  if (!cg_block_size(m->format, &elements, &bytes)) return;
  size_t blocks = m->cols / elements;
  const uint8_t *p = m->data + r * blocks * bytes;
  float scale = m->scale;
  if (m->row_scales) scale *= m->row_scales[m->row0 + r];
#define BLOCKS(f) \
  for (size_t b = 0; b < blocks; b++) CG_NAME(f)(p + b * bytes, y + b * elements); \
  break
  if (m->format >= CG_GROUPED) {
    for (size_t b = 0; b < blocks; b++)
      CG_NAME(grouped)(p + b * bytes, m->levels, e4m3(m->scales[(m->row0 + r) * blocks + b]), scale, y + b * elements, elements);
    return;
  }
  switch (m->format) {
    case CG_E4M3: CG_NAME(row_e4m3)(p, scale, y, m->cols); break;
    case CG_E5M2: CG_NAME(row_e5m2)(p, scale, y, m->cols); break;
    case CG_E5M2_AS_E4M3: CG_NAME(row_recast)(p, recast[0], scale, y, m->cols); break;
    case CG_E4M3_AS_E5M2: CG_NAME(row_recast)(p, recast[1], scale, y, m->cols); break;
    case CG_INT8: CG_NAME(row_int8)(p, scale, y, m->cols); break;
    case CG_INT4: CG_NAME(row_int4)(p, scale, y, m->cols); break;
    case CG_MX8:
      for (size_t b = 0; b < blocks; b++)
        CG_NAME(row_e4m3)(p + b * 32, e8m0(m->scales[tiled(m->row0 + r, b, blocks)]), y + b * 32, 32);
      break;
    case CG_NV4:
      for (size_t b = 0; b < blocks; b++)
        CG_NAME(nv4)(p + b * 8, scale * e4m3(m->scales[tiled(m->row0 + r, b, blocks)]), y + b * 16);
      break;
    case CG_Q4_0: BLOCKS(q4_0);
    case CG_Q4_1: BLOCKS(q4_1);
    case CG_Q5_0: BLOCKS(q5_0);
    case CG_Q5_1: BLOCKS(q5_1);
    case CG_Q8_0: BLOCKS(q8_0);
    case CG_Q2_K: BLOCKS(q2_k);
    case CG_Q3_K: BLOCKS(q3_k);
    case CG_Q4_K: BLOCKS(q4_k);
    case CG_Q5_K: BLOCKS(q5_k);
    case CG_Q6_K: BLOCKS(q6_k);
    case CG_IQ2_XXS: BLOCKS(iq2_xxs);
    case CG_IQ2_XS: BLOCKS(iq2_xs);
    case CG_IQ2_S: BLOCKS(iq2_s);
    case CG_IQ3_XXS: BLOCKS(iq3_xxs);
    case CG_IQ3_S: BLOCKS(iq3_s);
    case CG_IQ1_S: BLOCKS(iq1_s);
    case CG_IQ1_M: BLOCKS(iq1_m);
    case CG_IQ4_NL: BLOCKS(iq4_nl);
    case CG_IQ4_XS: BLOCKS(iq4_xs);
    case CG_TQ1_0: BLOCKS(tq1_0);
    case CG_TQ2_0: BLOCKS(tq2_0);
    case CG_MXFP4: BLOCKS(mxfp4);
    case CG_NVFP4: BLOCKS(nvfp4);
  }
#undef BLOCKS
}
