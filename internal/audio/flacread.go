package audio

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"comfygo/engine/media"
)

// errFLAC is a frame that breaks the format's rules.
var errFLAC = errors.New("decoding FLAC: the frame is damaged")

// maxDamaged bounds the frames that are tried and left out: each may cost the work of many samples in few bytes.
const maxDamaged = 4096

// flacInfo is the part of a file's header that applies to all frames.
type flacInfo struct {
	rate, channels, depth int
}

// readFLAC decodes a whole FLAC file. Source: RFC 9639. Damaged frames are omitted, as in FFmpeg; the length in the header is not trusted.
func readFLAC(ctx context.Context, data []byte, charge Charge) (*media.Audio, error) {
	info, data, err := flacHeader(data)
	if err != nil {
		return nil, err
	}
	c := Collector{Channels: info.channels, Charge: charge}
	d := flacDecoder{info: info}
	for damaged := 0; damaged < maxDamaged; {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		start := nextSync(data)
		if start < 0 {
			break
		}
		data = data[start:]
		n, err := d.frame(data)
		if err != nil {
			data = data[1:]
			damaged++
			continue
		}
		data = data[n:]
		if err := c.Add(d.interleaved()); err != nil {
			return nil, err
		}
	}
	if c.last == nil {
		return nil, errors.New("decoding FLAC: the file has no frame that can be decoded")
	}
	return &media.Audio{Waveform: c.Waveform(), SampleRate: info.rate}, nil
}

// flacHeader reads the metadata blocks and returns what follows them.
func flacHeader(data []byte) (info flacInfo, rest []byte, err error) {
	const headerSize, infoSize = 4, 34
	data = data[headerSize:]
	for first := true; ; first = false {
		if len(data) < headerSize {
			return info, nil, errors.New("reading the FLAC header: the file ends in it")
		}
		kind, size := data[0], int(data[1])<<16|int(data[2])<<8|int(data[3])
		data = data[headerSize:]
		if len(data) < size {
			return info, nil, errors.New("reading the FLAC header: the file ends in it")
		}
		if first {
			if kind&0x7f != 0 || size < infoSize {
				return info, nil, errors.New("reading the FLAC header: it does not begin with the stream's properties")
			}
			v := binary.BigEndian.Uint64(data[10:])
			info = flacInfo{rate: int(v >> 44), channels: int(v>>41&7) + 1, depth: int(v>>36&31) + 1}
		}
		data = data[size:]
		if kind&0x80 != 0 {
			break
		}
	}
	if err := checkFormat(info.channels, info.rate); err != nil {
		return info, nil, fmt.Errorf("reading the FLAC header: %w", err)
	}
	return info, data, nil
}

// nextSync returns where the next frame may begin, -1 if no frame follows.
func nextSync(data []byte) int {
	at := 0
	for {
		i := bytes.IndexByte(data[at:], 0xff)
		if i < 0 || at+i+1 >= len(data) {
			return -1
		}
		if at += i; data[at+1]&0xfe == 0xf8 {
			return at
		}
		at++
	}
}

// flacDecoder decodes frame by frame into buffers that are used again.
type flacDecoder struct {
	info     flacInfo
	r        bitReader
	depth    int // of the frame
	channels [MaxFLACChannels][]int32
	out      []float32
}

// frame decodes the frame at the beginning of data and returns its size in bytes.
func (d *flacDecoder) frame(data []byte) (size int, err error) {
	d.r = bitReader{data: data}
	n, assignment, err := d.header()
	if err != nil {
		return 0, err
	}
	for ch := range d.info.channels {
		depth := d.depth
		if ch == 1 && (assignment == leftSide || assignment == midSide) || ch == 0 && assignment == rightSide {
			depth++
		}
		d.channels[ch] = resized(d.channels[ch], n)
		if err := d.subframe(d.channels[ch], depth); err != nil {
			return 0, err
		}
	}
	d.r.align()
	size = d.r.position()
	if d.r.bad || size+2 > len(data) || crc16(data[:size]) != binary.BigEndian.Uint16(data[size:]) {
		return 0, errFLAC
	}
	decorrelate(d.channels[0], d.channels[1], assignment)
	return size + 2, nil
}

// header reads a frame's header: the number of samples and how the channels are coded.
func (d *flacDecoder) header() (n, assignment int, err error) {
	r := &d.r
	r.read(16)
	size, rate := r.read(4), r.read(4)
	assignment, depth := int(r.read(4)), r.read(3)
	r.read(1)
	first := byte(r.read(8))
	for range max(bits.LeadingZeros8(^first)-1, 0) {
		r.read(8)
	}
	switch {
	case size == 1:
		n = 192
	case size >= 2 && size <= 5:
		n = 576 << (size - 2)
	case size == 6:
		n = int(r.read(8)) + 1
	case size == 7:
		n = int(r.read(16)) + 1
	case size >= 8:
		n = 256 << (size - 8)
	}
	switch rate {
	case 12:
		r.read(8)
	case 13, 14:
		r.read(16)
	}
	d.depth = [8]int{d.info.depth, 8, 12, 0, 16, 20, 24, 32}[depth]
	end := r.position()
	want := byte(r.read(8))
	channels := assignment + 1
	if assignment >= leftSide {
		channels = 2
	}
	if end >= len(r.data) || n == 0 || d.depth == 0 || assignment > midSide || channels != d.info.channels || crc8(r.data[:end]) != want {
		return 0, 0, errFLAC
	}
	return n, assignment, nil
}

// subframe decodes one channel.
func (d *flacDecoder) subframe(s []int32, depth int) error {
	r := &d.r
	r.read(1)
	kind, wasted := int(r.read(6)), 0
	if r.read(1) == 1 {
		wasted = r.zeros() + 1
	}
	if depth -= wasted; depth < 1 || depth > 33 {
		return errFLAC
	}
	if depth > 32 {
		return d.subframe33(s, kind, wasted)
	}
	switch {
	case kind == 0:
		v := r.signed(depth)
		for i := range s {
			s[i] = v
		}
	case kind == 1:
		for i := range s {
			s[i] = r.signed(depth)
		}
	case kind >= 8 && kind <= 12:
		if err := d.warm(s, kind-8, depth); err != nil {
			return err
		}
		restoreFixed(s, kind-8)
	case kind >= 32:
		if err := d.linear(s, kind-31, depth); err != nil {
			return err
		}
	default:
		return errFLAC
	}
	if wasted > 0 {
		for i := range s {
			s[i] <<= wasted
		}
	}
	if r.bad {
		return errFLAC
	}
	return nil
}

// subframe33 refuses the side channel of 32-bit stereo, which FFmpeg's encoder never writes.
func (*flacDecoder) subframe33([]int32, int, int) error { return errFLAC }

// warm reads the first samples of a predictor, which stand as they are, and the residuals of the others.
func (d *flacDecoder) warm(s []int32, order, depth int) error {
	if order > len(s) {
		return errFLAC
	}
	for i := range s[:order] {
		s[i] = d.r.signed(depth)
	}
	return d.residual(s, order)
}

func restoreFixed(s []int32, order int) {
	switch order {
	case 1:
		for i := 1; i < len(s); i++ {
			s[i] += s[i-1]
		}
	case 2:
		for i := 2; i < len(s); i++ {
			s[i] += 2*s[i-1] - s[i-2]
		}
	case 3:
		for i := 3; i < len(s); i++ {
			s[i] += 3*(s[i-1]-s[i-2]) + s[i-3]
		}
	case 4:
		for i := 4; i < len(s); i++ {
			s[i] += 4*(s[i-1]+s[i-3]) - 6*s[i-2] - s[i-4]
		}
	}
}

// linear decodes a channel with a linear predictor.
func (d *flacDecoder) linear(s []int32, order, depth int) error {
	r := &d.r
	if order > len(s) {
		return errFLAC
	}
	for i := range s[:order] {
		s[i] = r.signed(depth)
	}
	precision := int(r.read(4)) + 1
	shift := r.signed(5)
	if precision > 15 || shift < 0 {
		return errFLAC
	}
	var coefficients [32]int64
	for i := range order {
		coefficients[order-1-i] = int64(r.signed(precision))
	}
	if err := d.residual(s, order); err != nil {
		return err
	}
	c := coefficients[:order]
	if depth+precision+bits.Len(uint(order)) <= 32 {
		restoreLinear32(s, c, uint(shift))
		return nil
	}
	for i := order; i < len(s); i++ {
		sum := int64(0)
		for j, v := range s[i-order : i] {
			sum += c[j] * int64(v)
		}
		s[i] += int32(sum >> shift)
	}
	return nil
}

// restoreLinear32 is for predictions whose sums fit 32 bits.
func restoreLinear32(s []int32, coefficients []int64, shift uint) {
	var buf [32]int32
	c := buf[:len(coefficients)]
	for i, v := range coefficients {
		c[i] = int32(v)
	}
	order := len(c)
	for i := order; i < len(s); i++ {
		w := s[i-order : i][:len(c)]
		sum := int32(0)
		for j := range c {
			sum += c[j] * w[j]
		}
		s[i] += sum >> shift
	}
}

// residual reads the coded differences into s, behind the first order samples.
func (d *flacDecoder) residual(s []int32, order int) error {
	r := &d.r
	method, partitions := r.read(2), int(r.read(4))
	wide := 4
	if method == 1 {
		wide = 5
	}
	size := len(s) >> partitions
	if method > 1 || len(s)&(1<<partitions-1) != 0 || size < order {
		return errFLAC
	}
	at := order
	for p := range 1 << partitions {
		part := s[at : (p+1)*size]
		at = (p + 1) * size
		k := int(r.read(wide))
		if k == 1<<wide-1 {
			raw := int(r.read(5))
			for i := range part {
				part[i] = r.signed(raw)
			}
		} else {
			r.rice(part, k)
		}
		if r.bad {
			return errFLAC
		}
	}
	return nil
}

func decorrelate(a, b []int32, assignment int) {
	switch assignment {
	case leftSide:
		for i, l := range a {
			b[i] = l - b[i]
		}
	case rightSide:
		for i, r := range b {
			a[i] += r
		}
	case midSide:
		for i, m := range a {
			side := b[i]
			m = m<<1 | side&1
			a[i], b[i] = (m+side)>>1, (m-side)>>1
		}
	}
}

// interleaved returns the samples of the frame that was decoded, full scale at 1. The slice is good until the next call.
func (d *flacDecoder) interleaved() []float32 {
	channels := d.info.channels
	n := len(d.channels[0])
	if cap(d.out) < n*channels {
		d.out = make([]float32, n*channels)
	}
	d.out = d.out[:n*channels]
	scale := 1 / float32(uint64(1)<<(d.depth-1))
	for ch := range channels {
		s := d.channels[ch][:n]
		for i, v := range s {
			d.out[i*channels+ch] = float32(v) * scale
		}
	}
	return d.out
}
