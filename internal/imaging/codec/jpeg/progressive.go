package jpeg

import "context"

// progressiveBlock decodes one scan's data of a block, dequantized.
func (d *decoder) progressiveBlock(c *component, b *[64]int16) bool {
	switch {
	case d.spectral.from == 0 && d.spectral.high == 0:
		n, ok := d.bits.decode(c.dcTable)
		if !ok || n > 16 {
			return false
		}
		c.dc += d.bits.signed(uint(n)) * (d.quant[c.quant][0] << d.spectral.low)
		b[0] = clip16(c.dc)
		return true
	case d.spectral.from == 0:
		b[0] += int16(d.bits.get(1) * d.quant[c.quant][0] << d.spectral.low)
		return true
	case d.spectral.high == 0:
		return d.firstAC(c, b)
	}
	return d.refineAC(c, b)
}

func (d *decoder) firstAC(c *component, b *[64]int16) bool {
	if d.eobRun > 0 {
		d.eobRun--
		return true
	}
	q := &d.quant[c.quant]
	for k := int(d.spectral.from); k <= int(d.spectral.to); k++ {
		v, ok := d.bits.decode(c.acTable)
		if !ok {
			return false
		}
		run, size := int(v>>4), uint(v&15)
		if size == 0 {
			if run != 15 {
				d.eobRun = 1<<run - 1 + d.bits.get(uint(run))
				break
			}
			k += 15
			continue
		}
		if k += run; k > 63 {
			return false
		}
		z := zigzag[k]
		b[z] = int16(d.bits.signed(size) * (q[z] << d.spectral.low))
	}
	return true
}

// refineAC adds a bit to coefficients that are known and places new ones between them (ITU-T T.81, G.1.2.3).
func (d *decoder) refineAC(c *component, b *[64]int16) bool {
	q := &d.quant[c.quant]
	k, last := int(d.spectral.from), int(d.spectral.to)
	if d.eobRun == 0 {
		for ; k <= last; k++ {
			v, ok := d.bits.decode(c.acTable)
			if !ok {
				return false
			}
			run, size := int(v>>4), v&15
			value := int32(0)
			if size == 0 {
				if run != 15 {
					d.eobRun = 1<<run + d.bits.get(uint(run))
					break
				}
			} else if value = -1; d.bits.get(1) == 1 {
				value = 1
			}
			k = d.skipZeros(b, q, k, last, run)
			if k > last {
				return size == 0
			}
			if value != 0 {
				z := zigzag[k]
				b[z] = int16(value * (q[z] << d.spectral.low))
			}
		}
	}
	if d.eobRun > 0 {
		d.eobRun--
		d.skipZeros(b, q, k, last, 64)
	}
	return true
}

// skipZeros refines the nonzero coefficients from k on, skips the given number of zero ones, and returns its
// position.
func (d *decoder) skipZeros(b *[64]int16, q *[64]int32, k, last, zeros int) int {
	for ; k <= last; k++ {
		z := zigzag[k]
		if b[z] == 0 {
			if zeros == 0 {
				break
			}
			zeros--
			continue
		}
		if d.bits.get(1) == 1 {
			step := int16(q[z] << d.spectral.low)
			if b[z] < 0 {
				step = -step
			}
			b[z] += step
		}
	}
	return k
}

// finish transforms the coefficients of a progressive file.
func (d *decoder) finish() error {
	if !d.progressive {
		return nil
	}
	for i := range d.components {
		c := &d.components[i]
		wide := c.stride / 8
		for y := range c.rows / 8 {
			if d.ctx.Err() != nil {
				return context.Cause(d.ctx)
			}
			for x := range wide {
				at := 64 * (y*wide + x)
				inverse((*[64]int16)(c.coefficients[at:at+64]), c.plane[8*y*c.stride+8*x:], c.stride)
			}
		}
		c.coefficients = nil
	}
	return nil
}
