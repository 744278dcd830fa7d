package jpeg

import (
	"context"
	"errors"
)

// zigzag is the order in which coefficients are coded.
var zigzag = [64]byte{
	0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
}

// levelShift is where the DC coefficient begins, which makes samples unsigned: 128 times 8.
const levelShift = 1024

// decoder decodes one file.
type decoder struct {
	*header
	ctx      context.Context
	data     []byte
	quant    [4][64]int32
	dc, ac   [4]*huffman
	restart  int
	adobe    int
	scans    int
	scratch  [64]int16
	eobRun   int32
	bits     bits
	spectral struct{ from, to, high, low uint }
}

// run decodes all scans. Damage ends a scan; only a file in which no scan begins is an error.
func (d *decoder) run() error {
	d.adobe = -1
	var broken error
	err := segments(d.data, func(s segment) (bool, error) {
		err := d.segment(s)
		if cause := context.Cause(d.ctx); cause != nil {
			return false, cause
		}
		if err != nil {
			broken = err
		}
		return d.header != nil || err == nil, nil
	})
	if err != nil {
		return err
	}
	if d.header == nil {
		return errors.Join(errNoFrame, broken)
	}
	if d.scans == 0 {
		return errors.Join(errors.New("none of its scans can be decoded"), broken)
	}
	d.header.adobe = d.adobe
	return d.finish()
}

func (d *decoder) segment(s segment) error {
	switch {
	case s.marker == markerDQT:
		return d.quantization(s.body)
	case s.marker == markerDHT:
		return parseHuffman(s.body, &d.dc, &d.ac)
	case s.marker == markerDRI && len(s.body) >= 2:
		d.restart = int(s.body[0])<<8 | int(s.body[1])
	case s.marker == markerAPP14:
		d.adobe = adobeTransform(s.body)
	case isFrame(s.marker) && d.header == nil:
		h, err := parseFrame(s)
		if err != nil {
			return err
		}
		d.header = h
		d.allocate()
	case s.marker == markerSOS && d.header != nil:
		return d.scan(s)
	}
	return nil
}

func (d *decoder) quantization(b []byte) error {
	for len(b) >= 65 {
		wide, id := b[0]>>4, b[0]&15
		size := 1 + int(wide)
		if id > 3 || wide > 1 || len(b) < 1+64*size {
			return errors.New("a quantization table is broken")
		}
		for i := range 64 {
			v := int32(b[1+i*size])
			if wide == 1 {
				v = v<<8 | int32(b[2+i*size])
			}
			d.quant[id][zigzag[i]] = v
		}
		b = b[1+64*size:]
	}
	return nil
}

func (d *decoder) allocate() {
	for i := range d.components {
		c := &d.components[i]
		c.plane = make([]byte, c.stride*c.rows)
		if d.progressive {
			c.coefficients = make([]int16, c.stride*c.rows)
		}
	}
}

// scan reads a scan header and what follows it.
func (d *decoder) scan(s segment) error {
	b := s.body
	if len(b) < 1 || len(b) < 1+2*int(b[0])+3 {
		return errors.New("a scan header ends early")
	}
	n := int(b[0])
	var in []*component
	for i := range n {
		id, tables := b[1+2*i], b[2+2*i]
		for k := range d.components {
			if c := &d.components[k]; c.id == id {
				c.dcTable, c.acTable = d.dc[tables>>4&3], d.ac[tables&3]
				in = append(in, c)
				break
			}
		}
	}
	if len(in) != n || n == 0 || n > 4 {
		return errors.New("a scan has components that the frame has not")
	}
	p := b[1+2*n:]
	d.spectral.from, d.spectral.to = uint(p[0]), uint(p[1])
	d.spectral.high, d.spectral.low = uint(p[2]>>4), uint(p[2]&15)
	if !d.progressive {
		d.spectral.from, d.spectral.to, d.spectral.high, d.spectral.low = 0, 63, 0, 0
	}
	if d.spectral.from > d.spectral.to || d.spectral.to > 63 || d.spectral.low > 13 || d.progressive && d.spectral.from > 0 && n > 1 {
		return errors.New("a scan header is broken")
	}
	for _, c := range in {
		needsDC := d.spectral.from == 0 && d.spectral.high == 0
		needsAC := d.spectral.to > 0 && (!d.progressive || d.spectral.from > 0)
		if needsDC && c.dcTable == nil || needsAC && c.acTable == nil {
			return errors.New("a scan has no code")
		}
	}
	d.scans++
	d.bits = bits{data: d.data, at: s.after}
	return d.blocks(in)
}

// blocks decodes the MCUs of a scan. After damage it continues behind the next restart marker, if there is one.
func (d *decoder) blocks(in []*component) error {
	wide, high := d.mcusX, d.mcusY
	if len(in) == 1 {
		wide, high = in[0].blocksWide, in[0].blocksHigh
	}
	d.reset(in)
	left, damaged := d.restart, false
	for y := range high {
		if d.ctx.Err() != nil {
			return context.Cause(d.ctx)
		}
		for x := range wide {
			if d.restart > 0 && left == 0 {
				if !d.nextRestart() {
					return nil
				}
				d.reset(in)
				left, damaged = d.restart, false
			}
			left--
			if damaged {
				continue
			}
			if !d.mcu(in, x, y) || d.bits.overread() {
				if d.restart == 0 {
					return nil // what there is can be seen
				}
				damaged = true
			}
		}
	}
	return nil
}

func (d *decoder) reset(in []*component) {
	for _, c := range in {
		c.dc = levelShift
	}
	d.eobRun = 0
}

// nextRestart moves to the data behind the next restart marker, or returns false if another marker comes first.
func (d *decoder) nextRestart() bool {
	at := nextMarker(d.data, d.bits.at)
	if at < 0 || d.data[at+1] < markerRST0 || d.data[at+1] > markerRST7 {
		return false
	}
	d.bits = bits{data: d.data, at: at + 2}
	return true
}

// mcu decodes the blocks of one MCU; false after damage.
func (d *decoder) mcu(in []*component, x, y int) bool {
	if len(in) == 1 {
		return d.block(in[0], x, y)
	}
	for _, c := range in {
		for v := range int(c.v) {
			for h := range int(c.h) {
				if !d.block(c, x*int(c.h)+h, y*int(c.v)+v) {
					return false
				}
			}
		}
	}
	return true
}

func (d *decoder) block(c *component, x, y int) bool {
	if d.progressive {
		at := 64 * (y*c.stride/8 + x)
		return d.progressiveBlock(c, (*[64]int16)(c.coefficients[at:at+64]))
	}
	b := &d.scratch
	clear(b[:])
	ok := d.sequentialBlock(c, b)
	inverse(b, c.plane[8*y*c.stride+8*x:], c.stride)
	return ok
}

func clip16(v int32) int16 { return int16(max(-1<<15, min(v, 1<<15-1))) }

func (d *decoder) sequentialBlock(c *component, b *[64]int16) bool {
	q := &d.quant[c.quant]
	n, ok := d.bits.decode(c.dcTable)
	if !ok || n > 16 {
		return false
	}
	c.dc += d.bits.signed(uint(n)) * q[0]
	b[0] = clip16(c.dc)
	for k := 1; k < 64; k++ {
		v, ok := d.bits.decode(c.acTable)
		if !ok {
			return false
		}
		run, size := int(v>>4), uint(v&15)
		if size == 0 {
			if run != 15 {
				break
			}
			k += 15
			continue
		}
		if k += run; k > 63 {
			return false
		}
		z := zigzag[k]
		b[z] = int16(d.bits.signed(size) * q[z])
	}
	return true
}
