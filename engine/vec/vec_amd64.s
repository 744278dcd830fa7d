#include "textflag.h"

// Sixteen values a turn, in two vectors.

// func scaleVector(out, a *float32, turns int, f float32)
TEXT ·scaleVector(SB), NOSPLIT, $0-28
	MOVQ         out+0(FP), DI
	MOVQ         a+8(FP), SI
	MOVQ         turns+16(FP), CX
	VBROADCASTSS f+24(FP), Y15

scaleLoop:
	VMULPS  (SI), Y15, Y0
	VMULPS  32(SI), Y15, Y1
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	ADDQ    $64, SI
	ADDQ    $64, DI
	DECQ    CX
	JNZ     scaleLoop
	VZEROUPPER
	RET

// func addScaledVector(out, a *float32, turns int, f float32)
TEXT ·addScaledVector(SB), NOSPLIT, $0-28
	MOVQ         out+0(FP), DI
	MOVQ         a+8(FP), SI
	MOVQ         turns+16(FP), CX
	VBROADCASTSS f+24(FP), Y15

addScaledLoop:
	VMULPS  (SI), Y15, Y0
	VMULPS  32(SI), Y15, Y1
	VADDPS  (DI), Y0, Y0
	VADDPS  32(DI), Y1, Y1
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	ADDQ    $64, SI
	ADDQ    $64, DI
	DECQ    CX
	JNZ     addScaledLoop
	VZEROUPPER
	RET

// func divideVector(out, a *float32, turns int, d float32)
TEXT ·divideVector(SB), NOSPLIT, $0-28
	MOVQ         out+0(FP), DI
	MOVQ         a+8(FP), SI
	MOVQ         turns+16(FP), CX
	VBROADCASTSS d+24(FP), Y15

divideLoop:
	VMOVUPS (SI), Y0
	VMOVUPS 32(SI), Y1
	VDIVPS  Y15, Y0, Y0
	VDIVPS  Y15, Y1, Y1
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	ADDQ    $64, SI
	ADDQ    $64, DI
	DECQ    CX
	JNZ     divideLoop
	VZEROUPPER
	RET

// func slopeVector(out, a, b *float32, turns int, d float32)
TEXT ·slopeVector(SB), NOSPLIT, $0-36
	MOVQ         out+0(FP), DI
	MOVQ         a+8(FP), SI
	MOVQ         b+16(FP), DX
	MOVQ         turns+24(FP), CX
	VBROADCASTSS d+32(FP), Y15

slopeLoop:
	VMOVUPS (SI), Y0
	VMOVUPS 32(SI), Y1
	VSUBPS  (DX), Y0, Y0
	VSUBPS  32(DX), Y1, Y1
	VDIVPS  Y15, Y0, Y0
	VDIVPS  Y15, Y1, Y1
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	ADDQ    $64, SI
	ADDQ    $64, DX
	ADDQ    $64, DI
	DECQ    CX
	JNZ     slopeLoop
	VZEROUPPER
	RET

// func addProductsVector(out, a, b *float32, turns int)
TEXT ·addProductsVector(SB), NOSPLIT, $0-32
	MOVQ out+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	MOVQ turns+24(FP), CX

addProductsLoop:
	VMOVUPS (SI), Y0
	VMOVUPS 32(SI), Y1
	VMULPS  (DX), Y0, Y0
	VMULPS  32(DX), Y1, Y1
	VADDPS  (DI), Y0, Y0
	VADDPS  32(DI), Y1, Y1
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	ADDQ    $64, SI
	ADDQ    $64, DX
	ADDQ    $64, DI
	DECQ    CX
	JNZ     addProductsLoop
	VZEROUPPER
	RET

// func quotientsVector(out, a, b *float32, turns int)
TEXT ·quotientsVector(SB), NOSPLIT, $0-32
	MOVQ out+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	MOVQ turns+24(FP), CX

quotientsLoop:
	VMOVUPS (SI), Y0
	VMOVUPS 32(SI), Y1
	VDIVPS  (DX), Y0, Y0
	VDIVPS  32(DX), Y1, Y1
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	ADDQ    $64, SI
	ADDQ    $64, DX
	ADDQ    $64, DI
	DECQ    CX
	JNZ     quotientsLoop
	VZEROUPPER
	RET

// func maxVector(out, a, b *float32, turns int)
TEXT ·maxVector(SB), NOSPLIT, $0-32
	MOVQ out+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	MOVQ turns+24(FP), CX

	// VMAXPS gives b where one of them is NaN; where a is, it is put back.
maxLoop:
	VMOVUPS   (SI), Y0
	VMOVUPS   32(SI), Y1
	VMAXPS    (DX), Y0, Y2
	VMAXPS    32(DX), Y1, Y3
	VCMPPS    $3, Y0, Y0, Y4
	VCMPPS    $3, Y1, Y1, Y5
	VBLENDVPS Y4, Y0, Y2, Y2
	VBLENDVPS Y5, Y1, Y3, Y3
	VMOVUPS   Y2, (DI)
	VMOVUPS   Y3, 32(DI)
	ADDQ      $64, SI
	ADDQ      $64, DX
	ADDQ      $64, DI
	DECQ      CX
	JNZ       maxLoop
	VZEROUPPER
	RET

// func minVector(out, a, b *float32, turns int)
TEXT ·minVector(SB), NOSPLIT, $0-32
	MOVQ out+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	MOVQ turns+24(FP), CX

	// VMINPS gives b where one of them is NaN; where a is, it is put back.
minLoop:
	VMOVUPS   (SI), Y0
	VMOVUPS   32(SI), Y1
	VMINPS    (DX), Y0, Y2
	VMINPS    32(DX), Y1, Y3
	VCMPPS    $3, Y0, Y0, Y4
	VCMPPS    $3, Y1, Y1, Y5
	VBLENDVPS Y4, Y0, Y2, Y2
	VBLENDVPS Y5, Y1, Y3, Y3
	VMOVUPS   Y2, (DI)
	VMOVUPS   Y3, 32(DI)
	ADDQ      $64, SI
	ADDQ      $64, DX
	ADDQ      $64, DI
	DECQ      CX
	JNZ       minLoop
	VZEROUPPER
	RET

// func subtractFromVector(out, a *float32, turns int, f float32)
TEXT ·subtractFromVector(SB), NOSPLIT, $0-28
	MOVQ         out+0(FP), DI
	MOVQ         a+8(FP), SI
	MOVQ         turns+16(FP), CX
	VBROADCASTSS f+24(FP), Y15

subtractFromLoop:
	VSUBPS  (SI), Y15, Y0
	VSUBPS  32(SI), Y15, Y1
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	ADDQ    $64, SI
	ADDQ    $64, DI
	DECQ    CX
	JNZ     subtractFromLoop
	VZEROUPPER
	RET

// The pixels whose values eight floats of interleaved planes are of: the first, second and third eight of 24.
DATA ·pixels0<>+0(SB)/4, $0
DATA ·pixels0<>+4(SB)/4, $0
DATA ·pixels0<>+8(SB)/4, $0
DATA ·pixels0<>+12(SB)/4, $1
DATA ·pixels0<>+16(SB)/4, $1
DATA ·pixels0<>+20(SB)/4, $1
DATA ·pixels0<>+24(SB)/4, $2
DATA ·pixels0<>+28(SB)/4, $2
GLOBL ·pixels0<>(SB), RODATA|NOPTR, $32
DATA ·pixels1<>+0(SB)/4, $2
DATA ·pixels1<>+4(SB)/4, $3
DATA ·pixels1<>+8(SB)/4, $3
DATA ·pixels1<>+12(SB)/4, $3
DATA ·pixels1<>+16(SB)/4, $4
DATA ·pixels1<>+20(SB)/4, $4
DATA ·pixels1<>+24(SB)/4, $4
DATA ·pixels1<>+28(SB)/4, $5
GLOBL ·pixels1<>(SB), RODATA|NOPTR, $32
DATA ·pixels2<>+0(SB)/4, $5
DATA ·pixels2<>+4(SB)/4, $5
DATA ·pixels2<>+8(SB)/4, $6
DATA ·pixels2<>+12(SB)/4, $6
DATA ·pixels2<>+16(SB)/4, $6
DATA ·pixels2<>+20(SB)/4, $7
DATA ·pixels2<>+24(SB)/4, $7
DATA ·pixels2<>+28(SB)/4, $7
GLOBL ·pixels2<>(SB), RODATA|NOPTR, $32

// func interleave16Vector(out *float32, a, b, c *byte, turns int, f float32)
TEXT ·interleave16Vector(SB), NOSPLIT, $0-44
	MOVQ         out+0(FP), DI
	MOVQ         a+8(FP), SI
	MOVQ         b+16(FP), DX
	MOVQ         c+24(FP), R8
	MOVQ         turns+32(FP), CX
	VBROADCASTSS f+40(FP), Y15
	VMOVDQU      ·pixels0<>(SB), Y12
	VMOVDQU      ·pixels1<>(SB), Y13
	VMOVDQU      ·pixels2<>(SB), Y14

interleave16Loop:
	VPMOVZXWD (SI), Y0
	VPMOVZXWD (DX), Y1
	VPMOVZXWD (R8), Y2
	VCVTDQ2PS Y0, Y0
	VCVTDQ2PS Y1, Y1
	VCVTDQ2PS Y2, Y2
	VMULPS    Y15, Y0, Y0
	VMULPS    Y15, Y1, Y1
	VMULPS    Y15, Y2, Y2
	VPERMPS   Y0, Y12, Y3
	VPERMPS   Y1, Y12, Y4
	VPERMPS   Y2, Y12, Y5
	VBLENDPS  $146, Y4, Y3, Y3
	VBLENDPS  $36, Y5, Y3, Y3
	VMOVUPS   Y3, (DI)
	VPERMPS   Y0, Y13, Y3
	VPERMPS   Y1, Y13, Y4
	VPERMPS   Y2, Y13, Y5
	VBLENDPS  $36, Y4, Y3, Y3
	VBLENDPS  $73, Y5, Y3, Y3
	VMOVUPS   Y3, 32(DI)
	VPERMPS   Y0, Y14, Y3
	VPERMPS   Y1, Y14, Y4
	VPERMPS   Y2, Y14, Y5
	VBLENDPS  $73, Y4, Y3, Y3
	VBLENDPS  $146, Y5, Y3, Y3
	VMOVUPS   Y3, 64(DI)
	ADDQ      $16, SI
	ADDQ      $16, DX
	ADDQ      $16, R8
	ADDQ      $96, DI
	DECQ      CX
	JNZ       interleave16Loop
	VZEROUPPER
	RET

// func finiteVector(a *float32, turns int) uint32
TEXT ·finiteVector(SB), NOSPLIT, $0-20
	MOVQ  a+0(FP), SI
	MOVQ  turns+8(FP), CX
	VPXOR Y14, Y14, Y14

	// v-v is zero for numbers and NaN for all else; NaN alone is unordered to itself.
finiteLoop:
	VMOVUPS (SI), Y0
	VMOVUPS 32(SI), Y1
	VSUBPS  Y0, Y0, Y0
	VSUBPS  Y1, Y1, Y1
	VORPS   Y0, Y14, Y14
	VORPS   Y1, Y14, Y14
	ADDQ    $64, SI
	DECQ    CX
	JNZ     finiteLoop
	VCMPPS    $3, Y14, Y14, Y14
	VMOVMSKPS Y14, AX
	MOVL      AX, ret+16(FP)
	VZEROUPPER
	RET

// func productVector(out, a, b *float32, n, k, tiles int)
//
// Four rows of the result, 16 columns at a time.
TEXT ·productVector(SB), NOSPLIT, $0-48
	MOVQ out+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), R8
	MOVQ n+24(FP), R9
	MOVQ k+32(FP), R10
	MOVQ tiles+40(FP), R11
	SHLQ $2, R9
	LEAQ (SI)(R10*4), R12
	LEAQ (R12)(R10*4), BX
	LEAQ (BX)(R10*4), DX

productTile:
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	VXORPS Y4, Y4, Y4
	VXORPS Y5, Y5, Y5
	VXORPS Y6, Y6, Y6
	VXORPS Y7, Y7, Y7
	MOVQ   R8, AX
	XORQ   CX, CX

productLoop:
	VMOVUPS      (AX), Y8
	VMOVUPS      32(AX), Y9
	VBROADCASTSS (SI)(CX*4), Y10
	VBROADCASTSS (R12)(CX*4), Y11
	VBROADCASTSS (BX)(CX*4), Y12
	VBROADCASTSS (DX)(CX*4), Y13
	VFMADD231PS  Y8, Y10, Y0
	VFMADD231PS  Y9, Y10, Y1
	VFMADD231PS  Y8, Y11, Y2
	VFMADD231PS  Y9, Y11, Y3
	VFMADD231PS  Y8, Y12, Y4
	VFMADD231PS  Y9, Y12, Y5
	VFMADD231PS  Y8, Y13, Y6
	VFMADD231PS  Y9, Y13, Y7
	ADDQ         R9, AX
	INCQ         CX
	CMPQ         CX, R10
	JLT          productLoop

	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	LEAQ    (DI)(R9*1), AX
	VMOVUPS Y2, (AX)
	VMOVUPS Y3, 32(AX)
	ADDQ    R9, AX
	VMOVUPS Y4, (AX)
	VMOVUPS Y5, 32(AX)
	ADDQ    R9, AX
	VMOVUPS Y6, (AX)
	VMOVUPS Y7, 32(AX)
	ADDQ    $64, DI
	ADDQ    $64, R8
	DECQ    R11
	JNZ     productTile
	VZEROUPPER
	RET

// func addBothVector(out, a, b *float32, turns int, f float32)
TEXT ·addBothVector(SB), NOSPLIT, $0-36
	MOVQ         out+0(FP), DI
	MOVQ         a+8(FP), SI
	MOVQ         b+16(FP), R8
	MOVQ         turns+24(FP), CX
	VBROADCASTSS f+32(FP), Y15

addBothLoop:
	VMULPS  (SI), Y15, Y0
	VMULPS  32(SI), Y15, Y1
	VMULPS  (R8), Y0, Y0
	VMULPS  32(R8), Y1, Y1
	VADDPS  (DI), Y0, Y0
	VADDPS  32(DI), Y1, Y1
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	ADDQ    $64, SI
	ADDQ    $64, R8
	ADDQ    $64, DI
	DECQ    CX
	JNZ     addBothLoop
	VZEROUPPER
	RET

// func halvesVector(out *float32, src *byte, turns int) (done int)
//
// A turn is 16 values; it ends before one with an infinity or a NaN.
TEXT ·halvesVector(SB), NOSPLIT, $0-32
	MOVQ         out+0(FP), DI
	MOVQ         src+8(FP), SI
	MOVQ         turns+16(FP), CX
	XORQ         AX, AX
	MOVL         $0x7c007c00, DX
	VMOVD        DX, X15
	VPBROADCASTD X15, Y15

halvesLoop:
	VMOVDQU   (SI), Y0
	VPAND     Y15, Y0, Y1
	VPCMPEQW  Y15, Y1, Y1
	VPTEST    Y1, Y1
	JNZ       halvesDone
	VCVTPH2PS (SI), Y2
	VCVTPH2PS 16(SI), Y3
	VMOVUPS   Y2, (DI)
	VMOVUPS   Y3, 32(DI)
	ADDQ      $32, SI
	ADDQ      $64, DI
	INCQ      AX
	CMPQ      AX, CX
	JLT       halvesLoop

halvesDone:
	VZEROUPPER
	MOVQ AX, done+24(FP)
	RET

// func filterVector(out, in, w *float32, n, outStep, inStep, eights int)
//
// One element of the result at a time, eight products at a time.
TEXT ·filterVector(SB), NOSPLIT, $0-56
	MOVQ out+0(FP), DI
	MOVQ in+8(FP), SI
	MOVQ w+16(FP), R8
	MOVQ n+24(FP), CX
	MOVQ outStep+32(FP), R9
	MOVQ inStep+40(FP), R10
	MOVQ eights+48(FP), R11
	SHLQ $2, R9
	SHLQ $2, R10
	SHLQ $5, R11

filterNext:
	VXORPS Y0, Y0, Y0
	XORQ   AX, AX

filterLoop:
	VMOVUPS     (SI)(AX*1), Y1
	VFMADD231PS (R8)(AX*1), Y1, Y0
	ADDQ        $32, AX
	CMPQ        AX, R11
	JLT         filterLoop

	VEXTRACTF128 $1, Y0, X1
	VADDPS       X1, X0, X0
	VPERMILPS    $0x4E, X0, X1
	VADDPS       X1, X0, X0
	VMOVSHDUP    X0, X1
	VADDSS       X1, X0, X0
	VMOVSS       X0, (DI)
	ADDQ         R9, DI
	ADDQ         R10, SI
	DECQ         CX
	JNZ          filterNext
	VZEROUPPER
	RET
