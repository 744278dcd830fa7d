#include "textflag.h"

// 255 and 1/2 of a step of the weights.
DATA ·constants+0(SB)/4, $255.0
DATA ·constants+4(SB)/4, $0x00200000
GLOBL ·constants(SB), RODATA|NOPTR, $8

// From the eight bytes of two RGB pixels and what follows: red, green and blue of each as four words.
DATA ·rgbPairs+0(SB)/4, $0x80808000
DATA ·rgbPairs+4(SB)/4, $0x80808001
DATA ·rgbPairs+8(SB)/4, $0x80808002
DATA ·rgbPairs+12(SB)/4, $0x80808080
DATA ·rgbPairs+16(SB)/4, $0x80808003
DATA ·rgbPairs+20(SB)/4, $0x80808004
DATA ·rgbPairs+24(SB)/4, $0x80808005
DATA ·rgbPairs+28(SB)/4, $0x80808080
GLOBL ·rgbPairs(SB), RODATA|NOPTR, $32

// The order in which the packing of four registers leaves groups of four bytes.
DATA ·packed+0(SB)/4, $0
DATA ·packed+4(SB)/4, $4
DATA ·packed+8(SB)/4, $1
DATA ·packed+12(SB)/4, $5
DATA ·packed+16(SB)/4, $2
DATA ·packed+20(SB)/4, $6
DATA ·packed+24(SB)/4, $3
DATA ·packed+28(SB)/4, $7
GLOBL ·packed(SB), RODATA|NOPTR, $32

// func bytesVector(to *byte, from *float32, turns int)
// Thirty-two values a turn: times 255, clipped, fraction cut off. The larger of a value and 0 is 0 for NaN.
TEXT ·bytesVector(SB), NOSPLIT, $0-24
	MOVQ to+0(FP), DI
	MOVQ from+8(FP), SI
	MOVQ turns+16(FP), CX
	VBROADCASTSS ·constants+0(SB), Y8
	VPXOR        Y9, Y9, Y9
	VMOVDQU      ·packed+0(SB), Y10

bytesLoop:
	VMULPS (SI), Y8, Y0
	VMULPS 32(SI), Y8, Y1
	VMULPS 64(SI), Y8, Y2
	VMULPS 96(SI), Y8, Y3
	VMAXPS Y9, Y0, Y0
	VMAXPS Y9, Y1, Y1
	VMAXPS Y9, Y2, Y2
	VMAXPS Y9, Y3, Y3
	VMINPS Y8, Y0, Y0
	VMINPS Y8, Y1, Y1
	VMINPS Y8, Y2, Y2
	VMINPS Y8, Y3, Y3
	VCVTTPS2DQ Y0, Y0
	VCVTTPS2DQ Y1, Y1
	VCVTTPS2DQ Y2, Y2
	VCVTTPS2DQ Y3, Y3
	VPACKSSDW Y1, Y0, Y0
	VPACKSSDW Y3, Y2, Y2
	VPACKUSWB Y2, Y0, Y0
	VPERMD    Y0, Y10, Y0
	VMOVDQU   Y0, (DI)
	ADDQ $128, SI
	ADDQ $32, DI
	DECQ CX
	JNZ  bytesLoop
	VZEROUPPER
	RET

// func floatsVector(to *float32, from *byte, turns int)
// Thirty-two bytes a turn, divided by 255.
TEXT ·floatsVector(SB), NOSPLIT, $0-24
	MOVQ to+0(FP), DI
	MOVQ from+8(FP), SI
	MOVQ turns+16(FP), CX
	VBROADCASTSS ·constants+0(SB), Y8

floatsLoop:
	VPMOVZXBD (SI), Y0
	VPMOVZXBD 8(SI), Y1
	VPMOVZXBD 16(SI), Y2
	VPMOVZXBD 24(SI), Y3
	VCVTDQ2PS Y0, Y0
	VCVTDQ2PS Y1, Y1
	VCVTDQ2PS Y2, Y2
	VCVTDQ2PS Y3, Y3
	VDIVPS Y8, Y0, Y0
	VDIVPS Y8, Y1, Y1
	VDIVPS Y8, Y2, Y2
	VDIVPS Y8, Y3, Y3
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	VMOVUPS Y2, 64(DI)
	VMOVUPS Y3, 96(DI)
	ADDQ $32, SI
	ADDQ $128, DI
	DECQ CX
	JNZ  floatsLoop
	VZEROUPPER
	RET

// func columnsVector(to, from *byte, line, turns int, weights *int32, count int)
// Thirty-two bytes a turn, each the weighted sum of those below each other in count lines.
TEXT ·columnsVector(SB), NOSPLIT, $0-48
	MOVQ to+0(FP), DI
	MOVQ from+8(FP), SI
	MOVQ line+16(FP), DX
	MOVQ turns+24(FP), CX
	MOVQ weights+32(FP), R8
	MOVQ count+40(FP), R9
	VPBROADCASTD ·constants+4(SB), Y8
	VMOVDQU      ·packed+0(SB), Y10

columnsLoop:
	VMOVDQA Y8, Y0
	VMOVDQA Y8, Y1
	VMOVDQA Y8, Y2
	VMOVDQA Y8, Y3
	MOVQ SI, R10
	MOVQ R8, R11
	MOVQ R9, R12

columnsTaps:
	VPBROADCASTD (R11), Y9
	VPMOVZXBD (R10), Y4
	VPMOVZXBD 8(R10), Y5
	VPMOVZXBD 16(R10), Y6
	VPMOVZXBD 24(R10), Y7
	VPMULLD Y9, Y4, Y4
	VPMULLD Y9, Y5, Y5
	VPMULLD Y9, Y6, Y6
	VPMULLD Y9, Y7, Y7
	VPADDD Y4, Y0, Y0
	VPADDD Y5, Y1, Y1
	VPADDD Y6, Y2, Y2
	VPADDD Y7, Y3, Y3
	ADDQ DX, R10
	ADDQ $4, R11
	DECQ R12
	JNZ  columnsTaps

	VPSRAD $22, Y0, Y0
	VPSRAD $22, Y1, Y1
	VPSRAD $22, Y2, Y2
	VPSRAD $22, Y3, Y3
	VPACKSSDW Y1, Y0, Y0
	VPACKSSDW Y3, Y2, Y2
	VPACKUSWB Y2, Y0, Y0
	VPERMD    Y0, Y10, Y0
	VMOVDQU   Y0, (DI)
	ADDQ $32, SI
	ADDQ $32, DI
	DECQ CX
	JNZ  columnsLoop
	VZEROUPPER
	RET

// func rowsVector(to, from *byte, first *int32, weights *int32, count, pairs int)
// One RGB pixel a turn, of count: the weighted sum of 2*pairs pixels from byte first on. weights has eight words for each pair,
// the first weight four times and the second. Four bytes are written for a pixel; up to two behind the last one are read.
TEXT ·rowsVector(SB), NOSPLIT, $0-48
	MOVQ to+0(FP), DI
	MOVQ from+8(FP), SI
	MOVQ first+16(FP), R8
	MOVQ weights+24(FP), R9
	MOVQ count+32(FP), CX
	MOVQ pairs+40(FP), DX
	VMOVDQU      ·rgbPairs+0(SB), Y10
	VPBROADCASTD ·constants+4(SB), X8

rowsLoop:
	VPXOR   Y0, Y0, Y0
	MOVLQSX (R8), R10
	ADDQ    SI, R10
	MOVQ    DX, R11

rowsTaps:
	VPBROADCASTQ (R10), Y1
	VPSHUFB Y10, Y1, Y1
	VPMULLD (R9), Y1, Y1
	VPADDD  Y1, Y0, Y0
	ADDQ $6, R10
	ADDQ $32, R9
	DECQ R11
	JNZ  rowsTaps

	VEXTRACTI128 $1, Y0, X1
	VPADDD    X1, X0, X0
	VPADDD    X8, X0, X0
	VPSRAD    $22, X0, X0
	VPACKSSDW X0, X0, X0
	VPACKUSWB X0, X0, X0
	VMOVD     X0, (DI)
	ADDQ $3, DI
	ADDQ $4, R8
	DECQ CX
	JNZ  rowsLoop
	VZEROUPPER
	RET
