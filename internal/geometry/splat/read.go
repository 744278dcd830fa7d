// Package splat reads, writes, moves and renders Gaussian splats, and makes meshes of them.
//
// It knows bytes and numbers. It must not know of nodes, folders or HTTP.
package splat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"

	"comfygo/internal/geometry"
)

// MaxFile bounds the bytes of a file that is read.
const MaxFile = 4 << 30

// Reserve is called with a number of bytes before they are allocated.
type Reserve func(bytes int64) error

// Read reads a file of Gaussian splats: format is "ply", "splat", "ksplat" or "spz"; for another name it is detected from
// the content. Only PLY has more than the base color.
func Read(ctx context.Context, data []byte, format string, reserve Reserve) (geometry.SplatItem, error) {
	if readers[format] == nil {
		if format = sniff(data); format == "" {
			return geometry.SplatItem{}, errors.New("it is not a PLY, SPLAT, KSPLAT or SPZ file")
		}
	}
	it, err := readers[format](ctx, data, reserve)
	if err != nil {
		return geometry.SplatItem{}, fmt.Errorf("%s: %w", format, err)
	}
	return it, nil
}

var readers = map[string]func(context.Context, []byte, Reserve) (geometry.SplatItem, error){
	"ply": readPLY, "splat": readSplat, "ksplat": readKSplat, "spz": readSPZ,
}

func sniff(data []byte) string {
	switch {
	case bytes.HasPrefix(data, []byte("ply")):
		return "ply"
	case bytes.HasPrefix(data, []byte{0x1f, 0x8b}):
		return "spz"
	case len(data) >= 2 && data[0] == 0 && data[1] >= 1:
		return "ksplat"
	case len(data)%splatRecord == 0:
		return "splat"
	}
	return ""
}

// newItem returns an item of n Gaussians with k coefficients.
func newItem(n, k int, reserve Reserve) (geometry.SplatItem, error) {
	if err := reserve(geometry.SplatBytes(int64(n), int64(k))); err != nil {
		return geometry.SplatItem{}, err
	}
	return geometry.SplatItem{
		Positions: make([]float32, 3*n), Scales: make([]float32, 3*n), Rotations: make([]float32, 4*n),
		Opacities: make([]float32, n), SH: make([]float32, 3*k*n), K: k,
	}, nil
}

// unit divides a quaternion by its length.
func unit(q []float32) {
	l := length4(q)
	for i := range q {
		q[i] /= l
	}
}

func length4(q []float32) float32 {
	const least = 1e-12
	return max(float32(math.Sqrt(float64(q[0]*q[0]+q[1]*q[1]+q[2]*q[2]+q[3]*q[3]))), least)
}

// base returns the coefficient of a base color.
func base(color float32) float32 { return (color - 0.5) / geometry.SHBase }

func exp32(v float32) float32 { return float32(math.Exp(float64(v))) }

// half reads a float of 16 bits.
func half(bits uint16) float32 {
	sign, exponent, fraction := uint32(bits>>15)<<31, uint32(bits>>10&0x1f), uint32(bits&0x3ff)
	switch exponent {
	case 0:
		v := float32(fraction) * (1.0 / (1 << 24))
		return math.Float32frombits(math.Float32bits(v) | sign)
	case 0x1f:
		return math.Float32frombits(sign | 0x7f800000 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}
