#include "textflag.h"

// func linesVector(to *float32, lines *[4]*float32, weights *[4]float32, taps, turns int)
// Eight values a turn: the weighted sum of two or four lines, each product fused with the sum it goes into.
TEXT ·linesVector(SB), NOSPLIT, $0-40
	MOVQ to+0(FP), DI
	MOVQ lines+8(FP), SI
	MOVQ weights+16(FP), R8
	MOVQ taps+24(FP), R9
	MOVQ turns+32(FP), CX
	VBROADCASTSS (R8), Y8
	VBROADCASTSS 4(R8), Y9
	MOVQ (SI), R10
	MOVQ 8(SI), R11
	XORQ AX, AX
	CMPQ R9, $4
	JEQ  four

two:
	VMULPS      (R10)(AX*1), Y8, Y0
	VFMADD231PS (R11)(AX*1), Y9, Y0
	VMOVUPS     Y0, (DI)(AX*1)
	ADDQ $32, AX
	DECQ CX
	JNZ  two
	VZEROUPPER
	RET

four:
	VBROADCASTSS 8(R8), Y10
	VBROADCASTSS 12(R8), Y11
	MOVQ 16(SI), R12
	MOVQ 24(SI), R13

fourLoop:
	VMULPS      (R10)(AX*1), Y8, Y0
	VFMADD231PS (R11)(AX*1), Y9, Y0
	VFMADD231PS (R12)(AX*1), Y10, Y0
	VFMADD231PS (R13)(AX*1), Y11, Y0
	VMOVUPS     Y0, (DI)(AX*1)
	ADDQ $32, AX
	DECQ CX
	JNZ  fourLoop
	VZEROUPPER
	RET

// func acrossVector(to, from *float32, places *int32, weights *float32, count, taps int)
// One RGB pixel a turn: the weighted sum of two or four pixels at places in bytes. Four values are read and written for a pixel.
TEXT ·acrossVector(SB), NOSPLIT, $0-48
	MOVQ to+0(FP), DI
	MOVQ from+8(FP), SI
	MOVQ places+16(FP), R8
	MOVQ weights+24(FP), R9
	MOVQ count+32(FP), CX
	MOVQ taps+40(FP), DX
	CMPQ DX, $4
	JEQ  acrossFour

acrossTwo:
	MOVLQSX (R8), R10
	MOVLQSX 4(R8), R11
	VBROADCASTSS (R9), X1
	VBROADCASTSS 4(R9), X2
	VMULPS      (SI)(R10*1), X1, X0
	VFMADD231PS (SI)(R11*1), X2, X0
	VMOVUPS     X0, (DI)
	ADDQ $12, DI
	ADDQ $8, R8
	ADDQ $8, R9
	DECQ CX
	JNZ  acrossTwo
	RET

acrossFour:
	MOVLQSX (R8), R10
	MOVLQSX 4(R8), R11
	MOVLQSX 8(R8), R12
	MOVLQSX 12(R8), R13
	VBROADCASTSS (R9), X1
	VBROADCASTSS 4(R9), X2
	VBROADCASTSS 8(R9), X3
	VBROADCASTSS 12(R9), X4
	VMULPS      (SI)(R10*1), X1, X0
	VFMADD231PS (SI)(R11*1), X2, X0
	VFMADD231PS (SI)(R12*1), X3, X0
	VFMADD231PS (SI)(R13*1), X4, X0
	VMOVUPS     X0, (DI)
	ADDQ $12, DI
	ADDQ $16, R8
	ADDQ $16, R9
	DECQ CX
	JNZ  acrossFour
	RET

// func sumsVector(sums, from *float32, windows *int32, count int)
// Adds the RGB pixels of count windows, each a place in bytes and a number of pixels, to four sums for each window. Four values
// are read for a pixel.
TEXT ·sumsVector(SB), NOSPLIT, $0-32
	MOVQ sums+0(FP), DI
	MOVQ from+8(FP), SI
	MOVQ windows+16(FP), R8
	MOVQ count+24(FP), CX

sumsLoop:
	VMOVUPS (DI), X0
	MOVLQSX (R8), R10
	MOVLQSX 4(R8), R11
	ADDQ SI, R10

sumsPixels:
	VADDPS (R10), X0, X0
	ADDQ $12, R10
	DECQ R11
	JNZ  sumsPixels

	VMOVUPS X0, (DI)
	ADDQ $16, DI
	ADDQ $8, R8
	DECQ CX
	JNZ  sumsLoop
	RET

// func meansVector(to, sums *float32, widths *float32, height float32, count int)
// Divides four sums by the height and a width; three of them make an RGB pixel. Four values are written for a pixel.
TEXT ·meansVector(SB), NOSPLIT, $0-40
	MOVQ to+0(FP), DI
	MOVQ sums+8(FP), SI
	MOVQ widths+16(FP), R8
	VBROADCASTSS height+24(FP), X1
	MOVQ count+32(FP), CX

meansLoop:
	VMOVUPS      (SI), X0
	VBROADCASTSS (R8), X2
	VDIVPS       X1, X0, X0
	VDIVPS       X2, X0, X0
	VMOVUPS      X0, (DI)
	ADDQ $12, DI
	ADDQ $16, SI
	ADDQ $4, R8
	DECQ CX
	JNZ  meansLoop
	RET

// func nearestVector(to, from *float32, places *int32, count int)
// Copies RGB pixels at places in bytes. Four values are read and written for a pixel.
TEXT ·nearestVector(SB), NOSPLIT, $0-32
	MOVQ to+0(FP), DI
	MOVQ from+8(FP), SI
	MOVQ places+16(FP), R8
	MOVQ count+24(FP), CX

nearestLoop:
	MOVLQSX (R8), R10
	VMOVUPS (SI)(R10*1), X0
	VMOVUPS X0, (DI)
	ADDQ $12, DI
	ADDQ $4, R8
	DECQ CX
	JNZ  nearestLoop
	RET

// func addTimesVector(to, from *float32, factor float32, turns int)
// Eight values a turn; products are rounded before they are added.
TEXT ·addTimesVector(SB), NOSPLIT, $0-32
	MOVQ to+0(FP), DI
	MOVQ from+8(FP), SI
	VBROADCASTSS factor+16(FP), Y8
	MOVQ turns+24(FP), CX

addTimesLoop:
	VMULPS  (SI), Y8, Y0
	VADDPS  (DI), Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DI
	DECQ CX
	JNZ  addTimesLoop
	VZEROUPPER
	RET

// func addPairsVector(to, a, b *float32, factor float32, turns int)
// Eight values a turn: the sum of two times a factor.
TEXT ·addPairsVector(SB), NOSPLIT, $0-40
	MOVQ to+0(FP), DI
	MOVQ a+8(FP), SI
	MOVQ b+16(FP), DX
	VBROADCASTSS factor+24(FP), Y8
	MOVQ turns+32(FP), CX

addPairsLoop:
	VMOVUPS (SI), Y0
	VADDPS  (DX), Y0, Y0
	VMULPS  Y8, Y0, Y0
	VADDPS  (DI), Y0, Y0
	VMOVUPS Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DX
	ADDQ $32, DI
	DECQ CX
	JNZ  addPairsLoop
	VZEROUPPER
	RET
