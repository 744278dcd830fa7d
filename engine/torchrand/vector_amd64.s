#include "textflag.h"

// The words of the twister's recurrence and of its tempering.
DATA twister<>+0(SB)/4, $0x80000000
DATA twister<>+4(SB)/4, $0x7fffffff
DATA twister<>+8(SB)/4, $0x9908b0df
DATA twister<>+12(SB)/4, $0x9d2c5680
DATA twister<>+16(SB)/4, $0xefc60000
DATA twister<>+20(SB)/4, $0x00ffffff
DATA twister<>+24(SB)/4, $0x33800000 // 2^-24
GLOBL twister<>(SB), RODATA|NOPTR, $28

// func twistVector(words, ahead *uint32, n int)
TEXT ·twistVector(SB), NOSPLIT, $0-24
	MOVQ words+0(FP), DI
	MOVQ ahead+8(FP), SI
	MOVQ n+16(FP), CX
	VPBROADCASTD twister<>+0(SB), Y12
	VPBROADCASTD twister<>+4(SB), Y13
	VPBROADCASTD twister<>+8(SB), Y14

twistLoop:
	VPAND   (DI), Y12, Y0
	VPAND   4(DI), Y13, Y1
	VPOR    Y0, Y1, Y0
	VPSLLD  $31, Y0, Y2
	VPSRAD  $31, Y2, Y2
	VPAND   Y14, Y2, Y2
	VPSRLD  $1, Y0, Y0
	VPXOR   Y0, Y2, Y0
	VPXOR   (SI), Y0, Y0
	VMOVDQU Y0, (DI)
	ADDQ    $32, DI
	ADDQ    $32, SI
	DECQ    CX
	JNZ     twistLoop
	VZEROUPPER
	RET

// func uniformVector(out *float32, words *uint32, n int)
TEXT ·uniformVector(SB), NOSPLIT, $0-24
	MOVQ out+0(FP), DI
	MOVQ words+8(FP), SI
	MOVQ n+16(FP), CX
	VPBROADCASTD twister<>+12(SB), Y12
	VPBROADCASTD twister<>+16(SB), Y13
	VPBROADCASTD twister<>+20(SB), Y14
	VPBROADCASTD twister<>+24(SB), Y15

uniformLoop:
	VMOVDQU   (SI), Y0
	VPSRLD    $11, Y0, Y1
	VPXOR     Y1, Y0, Y0
	VPSLLD    $7, Y0, Y1
	VPAND     Y12, Y1, Y1
	VPXOR     Y1, Y0, Y0
	VPSLLD    $15, Y0, Y1
	VPAND     Y13, Y1, Y1
	VPXOR     Y1, Y0, Y0
	VPSRLD    $18, Y0, Y1
	VPXOR     Y1, Y0, Y0
	VPAND     Y14, Y0, Y0
	VCVTDQ2PS Y0, Y0
	VMULPS    Y15, Y0, Y0
	VMOVUPS   Y0, (DI)
	ADDQ      $32, SI
	ADDQ      $32, DI
	DECQ      CX
	JNZ       uniformLoop
	VZEROUPPER
	RET

// The rows of constants.
#define iBias 0(DX)
#define iMantissa 32(DX)
#define iOne 64(DX)
#define iNotOne 96(DX)
#define iTwo 128(DX)
#define iFour 160(DX)
#define fOne 192(DX)
#define fHalf 224(DX)
#define fMinusHalf 256(DX)
#define fMinusTwo 288(DX)
#define fRootHalf 320(DX)
#define fLn2Low 352(DX)
#define fLn2High 384(DX)
#define fTwoPi 416(DX)
#define fFourByPi 448(DX)
#define fPiHigh 480(DX)
#define fPiMiddle 512(DX)
#define fPiLow 544(DX)
#define fLog0 576(DX)
#define fLog1 608(DX)
#define fLog2 640(DX)
#define fLog3 672(DX)
#define fLog4 704(DX)
#define fLog5 736(DX)
#define fLog6 768(DX)
#define fLog7 800(DX)
#define fLog8 832(DX)
#define fCos0 864(DX)
#define fCos1 896(DX)
#define fCos2 928(DX)
#define fSin0 960(DX)
#define fSin1 992(DX)
#define fSin2 1024(DX)

// func boxMullerVector(values *float32, n int, constants *[33]row)
TEXT ·boxMullerVector(SB), NOSPLIT, $0-24
	MOVQ    values+0(FP), DI
	MOVQ    n+8(FP), CX
	MOVQ    constants+16(FP), DX
	VMOVUPS fOne, Y15

blockLoop:
	// Y0 = 1 - the first eight; Y1 = its exponent, Y0 = its mantissa around 1, less 1.
	VSUBPS    (DI), Y15, Y0
	VPSRLD    $23, Y0, Y1
	VPSUBD    iBias, Y1, Y1
	VCVTDQ2PS Y1, Y1
	VADDPS    Y15, Y1, Y1
	VANDPS    iMantissa, Y0, Y0
	VORPS     fHalf, Y0, Y0
	VCMPPS    $1, fRootHalf, Y0, Y2
	VANDPS    Y2, Y0, Y3
	VSUBPS    Y15, Y0, Y0
	VANDPS    Y2, Y15, Y4
	VSUBPS    Y4, Y1, Y1
	VADDPS    Y3, Y0, Y0

	// Y0 = the logarithm.
	VMULPS      Y0, Y0, Y2
	VMOVUPS     fLog0, Y3
	VFMADD213PS fLog1, Y0, Y3
	VFMADD213PS fLog2, Y0, Y3
	VFMADD213PS fLog3, Y0, Y3
	VFMADD213PS fLog4, Y0, Y3
	VFMADD213PS fLog5, Y0, Y3
	VFMADD213PS fLog6, Y0, Y3
	VFMADD213PS fLog7, Y0, Y3
	VFMADD213PS fLog8, Y0, Y3
	VMULPS      Y0, Y3, Y3
	VMULPS      fLn2Low, Y1, Y4
	VFMADD213PS Y4, Y2, Y3
	VFMADD231PS fMinusHalf, Y2, Y3
	VADDPS      Y3, Y0, Y0
	VFMADD231PS fLn2High, Y1, Y0

	// Y0 = the radius.
	VMULPS  fMinusTwo, Y0, Y0
	VSQRTPS Y0, Y0

	// Y5 = the angle, Y6 = its octant made even, Y7 the same as a number.
	VMOVUPS    32(DI), Y5
	VMULPS     fTwoPi, Y5, Y5
	VMULPS     fFourByPi, Y5, Y6
	VCVTTPS2DQ Y6, Y6
	VPADDD     iOne, Y6, Y6
	VPAND      iNotOne, Y6, Y6
	VCVTDQ2PS  Y6, Y7

	// Y8 and Y10 = the signs of sine and cosine, Y9 = where they keep their places.
	VPAND    iFour, Y6, Y8
	VPSLLD   $29, Y8, Y8
	VPAND    iTwo, Y6, Y9
	VPXOR    Y10, Y10, Y10
	VPCMPEQD Y10, Y9, Y9
	VPSUBD   iTwo, Y6, Y10
	VPANDN   iFour, Y10, Y10
	VPSLLD   $29, Y10, Y10

	// Y5 = the rest of the angle, Y6 = its square.
	VFMADD231PS fPiHigh, Y7, Y5
	VFMADD231PS fPiMiddle, Y7, Y5
	VFMADD231PS fPiLow, Y7, Y5
	VMULPS      Y5, Y5, Y6

	// Y11 = cosine, Y12 = sine.
	VMOVUPS     fCos0, Y11
	VFMADD213PS fCos1, Y6, Y11
	VFMADD213PS fCos2, Y6, Y11
	VMULPS      Y6, Y11, Y11
	VMULPS      fHalf, Y6, Y12
	VFMSUB213PS Y12, Y6, Y11
	VADDPS      Y15, Y11, Y11
	VMOVUPS     fSin0, Y12
	VFMADD213PS fSin1, Y6, Y12
	VFMADD213PS fSin2, Y6, Y12
	VMULPS      Y6, Y12, Y12
	VFMADD213PS Y5, Y5, Y12

	VBLENDVPS Y9, Y12, Y11, Y13
	VBLENDVPS Y9, Y11, Y12, Y14
	VXORPS    Y8, Y13, Y13
	VXORPS    Y10, Y14, Y14
	VMULPS    Y0, Y14, Y14
	VMULPS    Y0, Y13, Y13
	VMOVUPS   Y14, (DI)
	VMOVUPS   Y13, 32(DI)
	ADDQ      $64, DI
	DECQ      CX
	JNZ       blockLoop
	VZEROUPPER
	RET
