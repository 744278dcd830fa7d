package splat

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"comfygo/internal/geometry"
)

// splatRecord is a Gaussian of a SPLAT file: position and scale in float32, RGBA and the quaternion in bytes.
const splatRecord = 32

func readSplat(ctx context.Context, data []byte, reserve Reserve) (geometry.SplatItem, error) {
	if len(data)%splatRecord != 0 {
		return geometry.SplatItem{}, fmt.Errorf("it has %d bytes, which is not a multiple of %d", len(data), splatRecord)
	}
	it, err := newItem(len(data)/splatRecord, 1, reserve)
	if err != nil {
		return it, err
	}
	return it, geometry.Each(ctx, it.Count(), func(i int) {
		r := data[i*splatRecord:]
		for a := range 3 {
			it.Positions[3*i+a] = float(r[4*a:])
			it.Scales[3*i+a] = float(r[12+4*a:])
		}
		setColor(&it, i, r[24:28])
		q := it.Rotations[4*i : 4*i+4]
		for a := range q {
			q[a] = (float32(r[28+a]) - 128) / 128
		}
		unit(q)
	})
}

func float(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }

// setColor reads red, green, blue and opacity in bytes.
func setColor(it *geometry.SplatItem, i int, rgba []byte) {
	for c := range 3 {
		it.SH[3*i+c] = base(float32(rgba[c]) / 255)
	}
	it.Opacities[i] = float32(rgba[3]) / 255
}

// KSPLAT files: a header, headers of sections, then the sections' buckets and records.
const (
	ksplatHeader, ksplatSection, ksplatRecord = 4096, 1024, 44
	ksplatMajor, ksplatMinor                  = 0, 1
)

// ksplatLevel describes the records of a level of compression: their bytes, and the range of packed positions.
type ksplatLevel struct {
	center, scale, rotation, harmonic int
	rang                              uint32
}

var (
	ksplatLevels = []ksplatLevel{{12, 12, 16, 4, 1}, {6, 6, 8, 2, 32767}, {6, 6, 8, 1, 32767}}
	// ksplatSH is the number of coefficients of a degree, without the base color.
	ksplatSH = []int64{0, 9, 24, 45}
)

// readKSplat reads the base colors of a file of version 0.x.
func readKSplat(ctx context.Context, data []byte, reserve Reserve) (geometry.SplatItem, error) {
	if len(data) < ksplatHeader {
		return geometry.SplatItem{}, errors.New("it is shorter than its header")
	}
	if data[0] != ksplatMajor {
		return geometry.SplatItem{}, fmt.Errorf("its version is %d.%d, want 0.x", data[0], data[1])
	}
	sections, level := int64(binary.LittleEndian.Uint32(data[4:])), int(binary.LittleEndian.Uint16(data[20:]))
	if level >= len(ksplatLevels) {
		return geometry.SplatItem{}, fmt.Errorf("its level of compression is %d, want 0 to %d", level, len(ksplatLevels)-1)
	}
	if sections > int64(len(data)-ksplatHeader)/ksplatSection {
		return geometry.SplatItem{}, fmt.Errorf("it ends early: it announces %d sections", sections)
	}
	var parts []section
	var total int64
	base := ksplatHeader + sections*ksplatSection
	for i := range sections {
		s := sectionOf(data[ksplatHeader+i*ksplatSection:][:ksplatSection], ksplatLevels[level], base)
		if s.count > 0 {
			if err := s.check(int64(len(data))); err != nil {
				return geometry.SplatItem{}, fmt.Errorf("section %d: %w", i, err)
			}
			parts = append(parts, s)
			total += s.count
		}
		base = s.end()
	}
	if total == 0 {
		return geometry.SplatItem{}, errors.New("it has no splats")
	}
	it, err := newItem(int(total), 1, reserve)
	if err != nil {
		return it, err
	}
	at := 0
	for i, s := range parts {
		if err := s.read(ctx, data, level == 0, &it, at); err != nil {
			return geometry.SplatItem{}, fmt.Errorf("section %d: %w", i, err)
		}
		at += int(s.count)
	}
	return it, nil
}

// section is a part of a KSPLAT file; sizes are in bytes.
type section struct {
	level                              ksplatLevel
	count, room                        int64 // Gaussians, and those that there is room for
	bucketSize, buckets, full, partial int64
	block                              float32
	rang                               uint32
	base, bucketBytes, stride          int64
}

func sectionOf(head []byte, level ksplatLevel, base int64) section {
	word := func(at int) int64 { return int64(binary.LittleEndian.Uint32(head[at:])) }
	s := section{
		level: level, count: word(0), room: word(4), bucketSize: word(8), buckets: word(12), block: float(head[16:]),
		rang: uint32(word(24)), full: word(32), partial: word(36), base: base, //nolint:gosec // it was read as such
	}
	if s.rang == 0 {
		s.rang = level.rang
	}
	var harmonics int64
	if degree := int(binary.LittleEndian.Uint16(head[40:])); degree < len(ksplatSH) {
		harmonics = ksplatSH[degree]
	}
	const color = 4
	s.stride = int64(level.center+level.scale+level.rotation+color) + harmonics*int64(level.harmonic)
	s.bucketBytes = int64(binary.LittleEndian.Uint16(head[20:]))*s.buckets + 4*s.partial
	return s
}

// end is where the next section begins. It cannot overflow: a file of MaxFile bytes has at most 2²² sections, each of less
// than 2⁴¹ bytes before it is found to be beyond the file.
func (s *section) end() int64 { return min(s.base+s.bucketBytes+s.stride*s.room, 1<<60) }

func (s *section) check(size int64) error {
	switch {
	case s.count > s.room:
		return fmt.Errorf("it has %d splats and room for %d", s.count, s.room)
	case s.base > size || s.base+s.bucketBytes > size || s.count > (size-s.base-s.bucketBytes)/s.stride:
		return errors.New("it lies beyond the end of the file")
	case s.level.center == 6 && 12*s.buckets > size-s.base-4*s.partial:
		return errors.New("its buckets lie beyond the end of the file")
	}
	return nil
}

// read reads the Gaussians into an item from one on.
func (s *section) read(ctx context.Context, data []byte, floats bool, it *geometry.SplatItem, at int) error {
	number := func(b []byte, i int) float32 {
		if floats {
			return float(b[4*i:])
		}
		return half(binary.LittleEndian.Uint16(b[2*i:]))
	}
	b := bucketsOf(s, data)
	factor := float32(float64(s.block) / 2 / float64(s.rang))
	const often = 1 << 16 // records after which an interrupt is looked for
	for i := range s.count {
		if i%often == 0 {
			if err := context.Cause(ctx); err != nil {
				return err
			}
		}
		r := data[s.base+s.bucketBytes+i*s.stride:][:s.stride]
		o := at + int(i)
		if floats {
			for a := range 3 {
				it.Positions[3*o+a] = float(r[4*a:])
			}
		} else {
			center, err := b.next(i)
			if err != nil {
				return err
			}
			for a := range 3 {
				packed := float32(binary.LittleEndian.Uint16(r[2*a:]))
				it.Positions[3*o+a] = (packed-float32(s.rang))*factor + float(center[4*a:])
			}
		}
		r = r[s.level.center:]
		for a := range 3 {
			it.Scales[3*o+a] = number(r, a)
		}
		r = r[s.level.scale:]
		q := it.Rotations[4*o : 4*o+4]
		for a := range q {
			q[a] = number(r, a)
		}
		unit(q)
		setColor(it, o, r[s.level.rotation:])
	}
	return nil
}

// ksplatBuckets locates the centers of the buckets that Gaussians are packed around: full ones have bucketSize each,
// partial ones store their number.
type ksplatBuckets struct {
	s                *section
	lengths, centers []byte
	partial          int64 // the partial bucket that is being read
	left             int64 // Gaussians that are left in it
}

func bucketsOf(s *section, data []byte) *ksplatBuckets {
	if s.level.center != 6 {
		return nil
	}
	from := data[s.base:]
	return &ksplatBuckets{s: s, lengths: from[:4*s.partial], centers: from[4*s.partial:], partial: -1}
}

// next returns the center of the bucket of the i-th Gaussian; it is called for each in turn.
func (b *ksplatBuckets) next(i int64) ([]byte, error) {
	bucket := int64(0)
	if i < b.s.full*b.s.bucketSize {
		bucket = i / b.s.bucketSize
	} else {
		for b.left == 0 {
			if b.partial++; b.partial >= b.s.partial {
				return nil, errors.New("its buckets hold fewer splats than it announces")
			}
			b.left = int64(binary.LittleEndian.Uint32(b.lengths[4*b.partial:]))
		}
		b.left--
		bucket = b.s.full + b.partial
	}
	if bucket >= b.s.buckets {
		return nil, fmt.Errorf("a splat lies in bucket %d of %d", bucket, b.s.buckets)
	}
	return b.centers[12*bucket:], nil
}

// writeKSplat writes a file of level 0 with base colors.
func writeKSplat(ctx context.Context, it *geometry.SplatItem) ([]byte, error) {
	n := it.Count()
	out := make([]byte, ksplatHeader+ksplatSection, ksplatHeader+ksplatSection+ksplatRecord*n)
	put := func(at, v int) { binary.LittleEndian.PutUint32(out[at:], uint32(v)) } //nolint:gosec // bounded by memory
	out[0], out[1] = ksplatMajor, ksplatMinor
	put(4, 1)
	put(8, 1)
	put(12, n)
	put(16, n)
	put(ksplatHeader, n)
	put(ksplatHeader+4, n)
	put(ksplatHeader+28, n*ksplatRecord)
	add := func(values ...float32) {
		for _, v := range values {
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
		}
	}
	err := geometry.Each(ctx, n, func(i int) {
		add(it.Positions[3*i : 3*i+3]...)
		add(it.Scales[3*i : 3*i+3]...)
		q := [4]float32(it.Rotations[4*i : 4*i+4])
		unit(q[:])
		add(q[:]...)
		for _, v := range it.Color(i) {
			out = append(out, toByte(v*255))
		}
		out = append(out, toByte(min(max(it.Opacities[i], 0), 1)*255))
	})
	return out, err
}

// toByte rounds to even and clips; NaN becomes 0.
func toByte(v float32) byte {
	r := math.RoundToEven(float64(v))
	if !(r > 0) {
		return 0
	}
	return byte(min(r, 255))
}

// SPZ files (Niantic), packed by gzip: a header, then each attribute of all Gaussians.
const (
	spzHeader, spzMagic, spzVersion, spzFraction = 16, 0x5053474E, 2, 12
	// spzContrast is the weight of a byte's color.
	spzContrast = geometry.SHBase / 0.15
)

// readSPZ reads the base colors of a file of the versions 1 to 3.
func readSPZ(ctx context.Context, data []byte, reserve Reserve) (geometry.SplatItem, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return geometry.SplatItem{}, err
	}
	var head [spzHeader]byte
	if _, err := io.ReadFull(z, head[:]); err != nil {
		return geometry.SplatItem{}, fmt.Errorf("reading the header: %w", noEOF(err))
	}
	version, n := binary.LittleEndian.Uint32(head[4:]), int64(binary.LittleEndian.Uint32(head[8:]))
	switch {
	case binary.LittleEndian.Uint32(head[:]) != spzMagic:
		return geometry.SplatItem{}, errors.New("it is no SPZ file")
	case version < 1 || version > 3:
		return geometry.SplatItem{}, fmt.Errorf("its version is %d, want 1 to 3", version)
	}
	positions, rotations := int64(9), int64(3)
	if version == 1 {
		positions = 6
	}
	if version == 3 {
		rotations = 4
	}
	size := n * (positions + 1 + 3 + 3 + rotations)
	// deflate packs at most a thousandfold, so that a short file cannot announce much
	const most = 1032
	if size > int64(len(data))*most {
		return geometry.SplatItem{}, fmt.Errorf("it ends early: it announces %d splats", n)
	}
	if err := reserve(size + geometry.SplatBytes(n, 1)); err != nil {
		return geometry.SplatItem{}, err
	}
	raw, err := io.ReadAll(io.LimitReader(interruptible{ctx, z}, size))
	if err == nil && int64(len(raw)) < size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return geometry.SplatItem{}, fmt.Errorf("reading %d splats: %w", n, noEOF(err))
	}
	it, err := newItem(int(n), 1, func(int64) error { return nil })
	if err != nil {
		return it, err
	}
	part := func(each int64) []byte {
		p := raw[:n*each]
		raw = raw[n*each:]
		return p
	}
	p, alpha, color, size3, q := part(positions), part(1), part(3), part(3), part(rotations)
	return it, geometry.Each(ctx, it.Count(), func(i int) {
		it.Opacities[i] = float32(alpha[i]) / 255
		for k := 3 * i; k < 3*i+3; k++ {
			it.Positions[k] = spzPosition(p, k, version, head[13])
			it.SH[k] = base((float32(color[k])/255-0.5)*spzContrast + 0.5)
			it.Scales[k] = exp32(float32(size3[k])/16 - 10)
		}
		if version == 3 {
			smallestThree(it.Rotations[4*i:4*i+4], binary.LittleEndian.Uint32(q[4*i:]))
		} else {
			firstThree(it.Rotations[4*i:4*i+4], q[3*i:])
		}
	})
}

// interruptible ends with its context.
type interruptible struct {
	ctx context.Context //nolint:containedctx // as long as one call
	io.Reader
}

// Read implements io.Reader.
func (r interruptible) Read(b []byte) (int, error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	return r.Reader.Read(b)
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// spzPosition reads coordinate i: a float of 16 bits or a fixed-point number of 24.
func spzPosition(p []byte, i int, version uint32, fraction byte) float32 {
	if version == 1 {
		return half(binary.LittleEndian.Uint16(p[2*i:]))
	}
	v := int32(p[3*i]) | int32(p[3*i+1])<<8 | int32(int8(p[3*i+2]))<<16 //nolint:gosec // the sign is there
	return float32(math.Ldexp(float64(v), -int(fraction)))
}

// firstThree reads x, y and z of a quaternion in bytes; w follows from its length.
func firstThree(q []float32, b []byte) {
	var sum float32
	for a := range 3 {
		q[1+a] = float32(b[a])/127.5 - 1
		sum += q[1+a] * q[1+a]
	}
	q[0] = float32(math.Sqrt(float64(max(1-sum, 0))))
	unit(q)
}

// smallestThree reads a quaternion without its largest part: its index, and three parts of 9 bits with signs.
func smallestThree(q []float32, bits uint32) {
	var xyzw [4]float32
	largest, sum := int(bits>>30), 0.0
	for c := 3; c >= 0; c-- {
		if c == largest {
			continue
		}
		v := math.Sqrt(0.5) * (float64(bits&0x1ff) / 0x1ff)
		if bits>>9&1 == 1 {
			v = -v
		}
		xyzw[c] = float32(v)
		sum += v * v
		bits >>= 10
	}
	xyzw[largest] = float32(math.Sqrt(max(1-sum, 0)))
	q[0], q[1], q[2], q[3] = xyzw[3], xyzw[0], xyzw[1], xyzw[2]
	unit(q)
}

// writeSPZ writes a file of version 2 with base colors.
func writeSPZ(ctx context.Context, it *geometry.SplatItem) ([]byte, error) {
	n := it.Count()
	raw := make([]byte, spzHeader, spzHeader+19*n)
	binary.LittleEndian.PutUint32(raw, spzMagic)
	binary.LittleEndian.PutUint32(raw[4:], spzVersion)
	binary.LittleEndian.PutUint32(raw[8:], uint32(n)) //nolint:gosec // bounded by memory
	raw[13] = spzFraction
	err := geometry.Each(ctx, len(it.Positions), func(i int) {
		const most = 1 << 23
		f := math.RoundToEven(float64(it.Positions[i] * (1 << spzFraction)))
		if math.IsNaN(f) {
			f = 0
		}
		v := int32(min(max(f, -most), most-1))
		raw = append(raw, byte(v), byte(v>>8), byte(v>>16)) //nolint:gosec // its parts
	})
	if err != nil {
		return nil, err
	}
	for _, v := range it.Opacities {
		raw = append(raw, toByte(v*255))
	}
	err = geometry.Each(ctx, n, func(i int) {
		for c := range 3 {
			rgb := it.SH[3*it.K*i+c]*geometry.SHBase + 0.5
			raw = append(raw, toByte(((rgb-0.5)/spzContrast+0.5)*255))
		}
	})
	if err != nil {
		return nil, err
	}
	err = geometry.Each(ctx, len(it.Scales), func(i int) {
		const smallest = 1e-9
		raw = append(raw, toByte((log32(max(it.Scales[i], smallest))+10)*16))
	})
	if err != nil {
		return nil, err
	}
	err = geometry.Each(ctx, n, func(i int) {
		q := [4]float32(it.Rotations[4*i : 4*i+4])
		unit(q[:])
		sign := float32(1)
		if q[0] < 0 {
			sign = -1
		}
		for _, v := range q[1:] {
			raw = append(raw, toByte((sign*v+1)*127.5))
		}
	})
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := io.Copy(z, interruptible{ctx, bytes.NewReader(raw)}); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// Write writes an item as a file: format is "ply", "ksplat" or "spz".
func Write(ctx context.Context, it *geometry.SplatItem, format string) ([]byte, error) {
	if it.Count() == 0 {
		return nil, errors.New("there are no splats")
	}
	switch format {
	case "ply":
		return writePLY(ctx, it)
	case "ksplat":
		return writeKSplat(ctx, it)
	case "spz":
		return writeSPZ(ctx, it)
	}
	return nil, fmt.Errorf("there is no format %q for splats, want ply, ksplat or spz", format)
}
