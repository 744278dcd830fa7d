package audio

import (
	"bytes"
	"context"
	"crypto/md5" // the format's checksum
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
)

// Tag is one metadata entry of a file.
type Tag struct{ Key, Value string }

// Limits of the FLAC format.
const (
	flacBlock    = 4096 // samples of a channel in a frame
	flacPadding  = 8192 // room for other programs' tags, as FFmpeg leaves it
	flacMaxRate  = 1<<20 - 1
	flacMaxBlock = 1<<24 - 1 // bytes of a metadata block
	// MaxFLACChannels is the greatest number of channels of a FLAC file.
	MaxFLACChannels = 8
)

// FLACTagBytes returns the size of tags in a FLAC file, which is limited to MaxFLACTags bytes.
func FLACTagBytes(tags []Tag) int {
	n := 4 + len(flacVendor) + 4
	for _, t := range tags {
		n += 4 + len(t.Key) + 1 + len(t.Value)
	}
	return n
}

// MaxFLACTags is the greatest result of FLACTagBytes that fits a file.
const MaxFLACTags = flacMaxBlock

const flacVendor = "comfygo"

// WriteFLAC writes interleaved 16-bit samples as a FLAC file with Vorbis comments. Source: RFC 9639. It uses fixed predictors, so that it is
// fast; files are a few percent larger than those of an encoder with linear prediction. It ends with the context's cause.
func WriteFLAC(ctx context.Context, w io.Writer, samples []int16, channels, rate int, tags []Tag) error {
	if channels < 1 || channels > MaxFLACChannels {
		return fmt.Errorf("writing FLAC: %d channels; the format has 1 to %d", channels, MaxFLACChannels)
	}
	if rate < 1 || rate > flacMaxRate {
		return fmt.Errorf("writing FLAC: a sample rate of %d Hz; the format has at most %d", rate, flacMaxRate)
	}
	if n := FLACTagBytes(tags); n > flacMaxBlock {
		return fmt.Errorf("writing FLAC: %d bytes of metadata; the format has at most %d", n, flacMaxBlock)
	}
	sum, err := md5Samples(ctx, samples)
	if err != nil {
		return err
	}
	head := append([]byte("fLaC"), streamInfo(len(samples)/channels, channels, rate, sum)...)
	head = append(appendComments(head, tags), blockHeader(1, flacPadding, true)...)
	if _, err := w.Write(append(head, make([]byte, flacPadding)...)); err != nil {
		return err
	}
	e := flacEncoder{channels: channels, rate: rate}
	for n := 0; n*flacBlock*channels < len(samples); n++ {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		part := samples[n*flacBlock*channels : min((n+1)*flacBlock*channels, len(samples))]
		if _, err := w.Write(e.frame(n, part)); err != nil {
			return err
		}
	}
	return nil
}

func blockHeader(kind byte, size int, last bool) []byte {
	if last {
		kind |= 0x80
	}
	return []byte{kind, byte(size >> 16), byte(size >> 8), byte(size)}
}

func md5Samples(ctx context.Context, samples []int16) ([md5.Size]byte, error) {
	sum := md5.New()
	buf := make([]byte, 1<<15)
	for len(samples) > 0 {
		if err := context.Cause(ctx); err != nil {
			return [md5.Size]byte{}, err
		}
		n := min(len(samples), len(buf)/2)
		for i, s := range samples[:n] {
			binary.LittleEndian.PutUint16(buf[2*i:], uint16(s))
		}
		sum.Write(buf[:2*n])
		samples = samples[n:]
	}
	return [md5.Size]byte(sum.Sum(nil)), nil
}

func streamInfo(length, channels, rate int, sum [md5.Size]byte) []byte {
	const size, bitDepth = 34, 16
	out := blockHeader(0, size, false)
	out = binary.BigEndian.AppendUint16(out, flacBlock)
	out = binary.BigEndian.AppendUint16(out, flacBlock)
	out = append(out, 0, 0, 0, 0, 0, 0) // frame sizes: unknown
	out = binary.BigEndian.AppendUint64(out, uint64(rate)<<44|uint64(channels-1)<<41|uint64(bitDepth-1)<<36|uint64(length))
	return append(out, sum[:]...)
}

func appendComments(b []byte, tags []Tag) []byte {
	text := func(s string) {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	b = append(b, blockHeader(4, FLACTagBytes(tags), false)...)
	text(flacVendor)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(tags)))
	for _, t := range tags {
		text(t.Key + "=" + t.Value)
	}
	return b
}

// flacEncoder makes frames. Its buffers are used again.
type flacEncoder struct {
	channels, rate int
	w              bitWriter
	signals        [4][]int32 // left, right, mid, side; or one per channel
	residual       [5][]int32
	buf            [MaxFLACChannels][]int32
}

// Ways of coding two channels, as the frame header numbers them.
const (
	leftSide  = 8
	rightSide = 9
	midSide   = 10
)

// frame codes up to flacBlock samples of each channel. The slice is good until the next call.
func (e *flacEncoder) frame(number int, samples []int16) []byte {
	n := len(samples) / e.channels
	channels := make([][]int32, e.channels)
	for ch := range channels {
		e.buf[ch] = resized(e.buf[ch], n)
		channels[ch] = e.buf[ch]
		for i := range n {
			channels[ch][i] = int32(samples[i*e.channels+ch])
		}
	}
	assignment := e.channels - 1
	wide := -1 // the channel that needs one bit more
	if e.channels == 2 {
		assignment, wide = e.stereo(channels)
	}
	e.w.reset()
	e.header(number, n, assignment)
	for ch, s := range channels {
		depth := 16
		if ch == wide {
			depth++
		}
		e.subframe(s, depth)
	}
	e.w.align()
	crc := crc16(e.w.buf)
	return append(e.w.buf, byte(crc>>8), byte(crc))
}

func resized(s []int32, n int) []int32 {
	if cap(s) < n {
		return make([]int32, n)
	}
	return s[:n]
}

// stereo chooses the pair of signals that varies least, by the second differences, and puts it into channels.
func (e *flacEncoder) stereo(channels [][]int32) (assignment, wide int) {
	l, r := channels[0], channels[1]
	e.signals[2], e.signals[3] = resized(e.signals[2], len(l)), resized(e.signals[3], len(l))
	mid, side := e.signals[2], e.signals[3]
	for i := range l {
		mid[i], side[i] = (l[i]+r[i])>>1, l[i]-r[i]
	}
	cl, cr, cm, cs := roughness(l), roughness(r), roughness(mid), roughness(side)
	best := min(cl+cr, cl+cs, cr+cs, cm+cs)
	switch best {
	case cl + cr:
		return 1, -1
	case cl + cs:
		channels[1] = side
		return leftSide, 1
	case cr + cs:
		channels[0] = side
		return rightSide, 0
	}
	channels[0], channels[1] = mid, side
	return midSide, 1
}

func roughness(s []int32) (sum uint64) {
	for i := 2; i < len(s); i++ {
		sum += uint64(abs32(s[i] - 2*s[i-1] + s[i-2]))
	}
	return sum
}

func abs32(v int32) uint32 {
	m := v >> 31
	return uint32((v ^ m) - m)
}

// flacRates are the short codes of sample rates in a frame's header.
var flacRates = map[int]uint64{
	88200: 1, 176400: 2, 192000: 3, 8000: 4, 16000: 5, 22050: 6, 24000: 7, 32000: 8, 44100: 9, 48000: 10, 96000: 11,
}

// rateCode is the code of a sample rate in a frame's header, and the number with its bits that follows for the last three codes. Code 0
// leaves the rate to the stream's header; FFmpeg then gives packets no duration, and browsers cannot seek, so it is used for rates only
// that no other code has.
func rateCode(rate int) (code, value uint64, width int) {
	if code, ok := flacRates[rate]; ok {
		return code, 0, 0
	}
	switch {
	case rate%1000 == 0 && rate/1000 < 1<<8:
		return 12, uint64(rate / 1000), 8
	case rate < 1<<16:
		return 13, uint64(rate), 16
	case rate%10 == 0 && rate/10 < 1<<16:
		return 14, uint64(rate / 10), 16
	}
	return 0, 0, 0
}

// header writes a frame's header with its checksum. Block size and sample rate are written in full if they have no short code.
func (e *flacEncoder) header(number, n, assignment int) {
	const sync, sixteenBits = 0b1111_1111_1111_1000, 4 << 1
	e.w.write(sync, 16)
	size := uint64(7) // 16 bits at the end of the header
	if n == flacBlock {
		size = 12
	}
	rate, value, width := rateCode(e.rate)
	e.w.write(size<<4|rate, 8)
	e.w.write(uint64(assignment)<<4|sixteenBits, 8)
	for _, b := range codedNumber(number) {
		e.w.write(uint64(b), 8)
	}
	if size == 7 {
		e.w.write(uint64(n-1), 16)
	}
	e.w.write(value, width)
	e.w.align()
	e.w.write(uint64(crc8(e.w.buf)), 8)
}

// codedNumber writes a number of up to 31 bits as UTF-8 is extended in the format.
func codedNumber(v int) []byte {
	if v < 0x80 {
		return []byte{byte(v)}
	}
	more := 1 // bytes behind the first
	for v >= 1<<(5*more+6) {
		more++
	}
	out := []byte{byte(0xff<<(7-more)&0xff) | byte(v>>(6*more))}
	for i := more - 1; i >= 0; i-- {
		out = append(out, 0x80|byte(v>>(6*i))&0xbf)
	}
	return out
}

// subframe writes one channel by the cheapest of a constant, a fixed predictor and the samples as they are.
func (e *flacEncoder) subframe(s []int32, depth int) {
	const constant, verbatim, fixed = 0, 1 << 1, 8 << 1
	mask := uint64(1)<<depth - 1
	if isConstant(s) {
		e.w.write(constant, 8)
		e.w.write(uint64(s[0])&mask, depth)
		return
	}
	order := e.predict(s)
	plan := planRice(e.residual[order], order, len(s))
	if plan.bits+order*depth >= len(s)*depth {
		e.w.write(verbatim, 8)
		for _, v := range s {
			e.w.write(uint64(v)&mask, depth)
		}
		return
	}
	e.w.write(fixed|uint64(order)<<1, 8)
	for _, v := range s[:order] {
		e.w.write(uint64(v)&mask, depth)
	}
	plan.write(&e.w, e.residual[order], order, len(s))
}

func isConstant(s []int32) bool {
	for _, v := range s[1:] {
		if v != s[0] {
			return false
		}
	}
	return true
}

// predict computes the residuals of all orders that fit and returns the order with the smallest sum. residual[k] lacks the first k samples.
func (e *flacEncoder) predict(s []int32) int {
	best, least := 0, ^uint64(0)
	for order := range e.residual {
		if order >= len(s) {
			break
		}
		e.residual[order] = resized(e.residual[order], len(s)-order)
		r := e.residual[order]
		sum := uint64(0)
		if order == 0 {
			copy(r, s)
			for _, v := range r {
				sum += uint64(abs32(v))
			}
		} else {
			below := e.residual[order-1][:len(r)+1]
			for i := range r {
				d := below[i+1] - below[i]
				r[i] = d
				sum += uint64(abs32(d))
			}
		}
		if sum < least {
			best, least = order, sum
		}
	}
	return best
}

// ricePlan says into how many partitions a residual is cut, and the parameter of each.
type ricePlan struct {
	order  int // log2 of the number of partitions
	params []uint8
	bits   int
}

const (
	maxPartitions = 6  // log2
	maxRice       = 14 // 15 stands for no coding
)

// planRice finds the cheapest partitions, from many small ones to one: the sum of two neighbours is that of the partition they make up.
func planRice(residual []int32, predictor, n int) ricePlan {
	order := maxPartitions
	for order > 0 && (n&(1<<order-1) != 0 || n>>order <= predictor) {
		order--
	}
	sums := make([]uint64, 1<<order)
	at := 0
	for p := range sums {
		count := n >> order
		if p == 0 {
			count -= predictor
		}
		for _, v := range residual[at : at+count] {
			sums[p] += uint64(zigzag(v))
		}
		at += count
	}
	best := ricePlan{bits: int(^uint(0) >> 1)}
	for ; ; order-- {
		if plan := riceFor(sums, order, predictor, n); plan.bits < best.bits {
			best = plan
		}
		if order == 0 {
			return best
		}
		half := sums[:len(sums)/2]
		for i := range half {
			half[i] = sums[2*i] + sums[2*i+1]
		}
		sums = half
	}
}

// riceFor chooses a parameter for each partition from the sum of its folded residuals.
func riceFor(sums []uint64, order, predictor, n int) ricePlan {
	plan := ricePlan{order: order, params: make([]uint8, len(sums)), bits: 6}
	for p, sum := range sums {
		count := n >> order
		if p == 0 {
			count -= predictor
		}
		k := 0
		if mean := sum / uint64(count); mean > 0 {
			k = min(bits.Len64(mean)-1, maxRice)
		}
		cost := func(k int) int { return count*(k+1) + int(sum>>k) }
		if k < maxRice && cost(k+1) < cost(k) {
			k++
		}
		plan.params[p] = uint8(k)
		plan.bits += 4 + cost(k)
	}
	return plan
}

func zigzag(v int32) uint32 { return uint32(v<<1) ^ uint32(v>>31) }

func (p ricePlan) write(w *bitWriter, residual []int32, predictor, n int) {
	w.write(uint64(p.order), 6) // two bits for the method with 4-bit parameters, four for the order
	at := 0
	for i, k := range p.params {
		count := n >> p.order
		if i == 0 {
			count -= predictor
		}
		w.write(uint64(k), 4)
		for _, v := range residual[at : at+count] {
			w.rice(zigzag(v), int(k))
		}
		at += count
	}
}

// isFLAC reports whether data begins as a FLAC file.
func isFLAC(data []byte) bool { return bytes.HasPrefix(data, []byte("fLaC")) }
