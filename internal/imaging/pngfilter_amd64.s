#include "textflag.h"

// Thirty-two bytes a turn. Y0 p, Y1 a (left), Y2 b (above), Y3 c (left above); Y10 to Y14 the sums; Y9 ones; Y15 zero.
// Differences of bytes are never widened: |x-y| is what is left of both saturated differences.

// ADDUP adds the absolute bytes of Y4 to a sum.
#define ADDUP(sum) \
	VPABSB  Y4, Y4       \
	VPSADBW Y15, Y4, Y4  \
	VPADDQ  Y4, sum, sum

// func filterVector(line, above *byte, step, turns int, none, sub, up, avg, paeth *byte, sums *[5][4]uint64)
TEXT ·filterVector(SB), NOSPLIT, $0-80
	MOVQ line+0(FP), SI
	MOVQ above+8(FP), DI
	MOVQ step+16(FP), DX
	MOVQ turns+24(FP), CX
	MOVQ none+32(FP), R8
	MOVQ sub+40(FP), R9
	MOVQ up+48(FP), R10
	MOVQ avg+56(FP), R11
	MOVQ paeth+64(FP), R12
	MOVQ sums+72(FP), R13
	XORQ AX, AX
	MOVQ DX, BX
	NEGQ BX

	VPXOR    Y15, Y15, Y15
	VPCMPEQB Y9, Y9, Y9
	VPABSB   Y9, Y9
	VPXOR    Y10, Y10, Y10
	VPXOR    Y11, Y11, Y11
	VPXOR    Y12, Y12, Y12
	VPXOR    Y13, Y13, Y13
	VPXOR    Y14, Y14, Y14

filterLoop:
	VMOVDQU (SI)(AX*1), Y0
	VMOVDQU (SI)(BX*1), Y1
	VMOVDQU (DI)(AX*1), Y2
	VMOVDQU (DI)(BX*1), Y3

	// p
	VMOVDQU Y0, (R8)(AX*1)
	VMOVDQA Y0, Y4
	ADDUP(Y10)

	// p-a
	VPSUBB  Y1, Y0, Y4
	VMOVDQU Y4, (R9)(AX*1)
	ADDUP(Y11)

	// p-b
	VPSUBB  Y2, Y0, Y4
	VMOVDQU Y4, (R10)(AX*1)
	ADDUP(Y12)

	// p-(a+b)/2; VPAVGB rounds up where a and b differ in the last bit.
	VPAVGB  Y1, Y2, Y4
	VPXOR   Y1, Y2, Y5
	VPAND   Y9, Y5, Y5
	VPSUBB  Y5, Y4, Y4
	VPSUBB  Y4, Y0, Y4
	VMOVDQU Y4, (R11)(AX*1)
	ADDUP(Y13)

	// Y6 = |b-c|, Y7 = |a-c|, Y5 where one of b-c and a-c is negative and the other is not.
	VPSUBUSB Y3, Y2, Y4
	VPSUBUSB Y2, Y3, Y5
	VPOR     Y4, Y5, Y6
	VPSUBUSB Y3, Y1, Y7
	VPSUBUSB Y1, Y3, Y8
	VPOR     Y7, Y8, Y7
	VPCMPEQB Y15, Y5, Y5
	VPCMPEQB Y15, Y8, Y8
	VPXOR    Y5, Y8, Y5

	// Y4 = |a+b-2c|: the sum of Y6 and Y7, which may saturate, or their difference.
	VPADDUSB  Y6, Y7, Y4
	VPSUBUSB  Y7, Y6, Y8
	VPSUBUSB  Y6, Y7, Y0
	VPOR      Y0, Y8, Y8
	VPBLENDVB Y5, Y8, Y4, Y4

	// Y3 = a if Y6 is the least of the three, else b if Y7 is not above Y4, else c.
	VPMINUB   Y7, Y4, Y8
	VPCMPEQB  Y7, Y8, Y5
	VPBLENDVB Y5, Y2, Y3, Y3
	VPMINUB   Y6, Y8, Y8
	VPCMPEQB  Y6, Y8, Y5
	VPBLENDVB Y5, Y1, Y3, Y3
	VMOVDQU   (SI)(AX*1), Y0
	VPSUBB    Y3, Y0, Y4
	VMOVDQU   Y4, (R12)(AX*1)
	ADDUP(Y14)

	ADDQ $32, AX
	ADDQ $32, BX
	DECQ CX
	JNZ  filterLoop

	VMOVDQU Y10, (R13)
	VMOVDQU Y11, 32(R13)
	VMOVDQU Y12, 64(R13)
	VMOVDQU Y13, 96(R13)
	VMOVDQU Y14, 128(R13)
	VZEROUPPER
	RET
