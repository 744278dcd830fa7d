package imaging

import "slices"

// This file gives the palettes of Pillow's Image.quantize by median cut (src/libImaging/Quant.c; Heckbert, "Color Image
// Quantization for Frame Buffer Display", 1982).

// maxQuantized is the number of different colors that are counted separately. Beyond it low bits are dropped.
const maxQuantized = 1 << 16

// colorCount is one color of an image: how many pixels have it and the sums of their channels.
type colorCount struct {
	color [3]uint8 // without the dropped bits
	count int
	sums  [3]int64
}

// Palette returns at most colors colors, 1 to 256, for an image of interleaved RGB bytes.
func Palette(pix []byte, colors int) [][3]uint8 {
	list := countColors(pix)
	if len(list) == 0 {
		return nil
	}
	root := newColorBox(list)
	heap := boxHeap{root}
	for n := 1; n < colors; n++ {
		b := heap.pop()
		for b != nil && b.single(list) {
			b = heap.pop()
		}
		if b == nil {
			break
		}
		b.split(list)
		heap.push(b.left)
		heap.push(b.right)
	}
	return root.palette(list, nil)
}

// countColors counts the colors of an image, with the greatest number of bits that leaves at most maxQuantized of them.
func countColors(pix []byte) []colorCount {
	const slots = 4 * maxQuantized
	table := make([]int32, slots) // places in the list, from 1
	var list []colorCount
	shift := 0
	find := func(c [3]uint8) *colorCount {
		key := uint32(c[0]) | uint32(c[1])<<8 | uint32(c[2])<<16
		for at := key * 0x9E3779B1 >> 14; ; at = (at + 1) % slots {
			switch i := table[at]; {
			case i == 0:
				list = append(list, colorCount{color: c})
				table[at] = int32(len(list))
				return &list[len(list)-1]
			case list[i-1].color == c:
				return &list[i-1]
			}
		}
	}
	for i := 0; i+3 <= len(pix); i += 3 {
		p := pix[i : i+3 : i+3]
		e := find([3]uint8{p[0] >> shift, p[1] >> shift, p[2] >> shift})
		e.count++
		for k, v := range p {
			e.sums[k] += int64(v)
		}
		for len(list) > maxQuantized {
			shift++
			old := list
			list = nil
			clear(table)
			for _, o := range old {
				e := find([3]uint8{o.color[0] >> 1, o.color[1] >> 1, o.color[2] >> 1})
				e.count += o.count
				for k, v := range o.sums {
					e.sums[k] += v
				}
			}
		}
	}
	return list
}

// colorBox holds colors in the order of each channel, the greatest first.
type colorBox struct {
	order       [3][]int32
	count       int // of pixels
	left, right *colorBox
}

func newColorBox(list []colorCount) *colorBox {
	b := &colorBox{}
	for k := range b.order {
		b.order[k] = make([]int32, len(list))
		for i := range list {
			b.order[k][i] = int32(i)
		}
		slices.SortFunc(b.order[k], func(x, y int32) int { return int(list[y].color[k]) - int(list[x].color[k]) })
	}
	for i := range list {
		b.count += list[i].count
	}
	return b
}

// spread is the range of a channel.
func (b *colorBox) spread(list []colorCount, k int) int {
	o := b.order[k]
	return int(list[o[0]].color[k]) - int(list[o[len(o)-1]].color[k])
}

func (b *colorBox) single(list []colorCount) bool {
	return b.spread(list, 0) == 0 && b.spread(list, 1) == 0 && b.spread(list, 2) == 0
}

// split cuts the box across the channel of the widest range, weighted by luminance, at the median pixel. Colors of one value
// stay together.
func (b *colorBox) split(list []colorCount) {
	axis, widest := 0, -1
	for k, weight := range [3]int{77, 150, 29} {
		if s := b.spread(list, k) * weight; s > widest {
			axis, widest = k, s
		}
	}
	order := b.order[axis]
	value := func(i int) uint8 { return list[order[i]].color[axis] }
	at, count := 0, 0
	for at < len(order) {
		count += list[order[at]].count
		at++
		if 2*count > b.count {
			break
		}
	}
	for at < len(order) && value(at) == value(at-1) {
		count += list[order[at]].count
		at++
	}
	if at == len(order) {
		for at > 0 && value(at-1) == value(len(order)-1) {
			at--
			count -= list[order[at]].count
		}
	}
	bound := value(at)
	b.left, b.right = &colorBox{count: count}, &colorBox{count: b.count - count}
	for k, o := range b.order {
		b.left.order[k], b.right.order[k] = make([]int32, 0, at), make([]int32, 0, len(o)-at)
		for _, i := range o {
			if list[i].color[axis] > bound {
				b.left.order[k] = append(b.left.order[k], i)
			} else {
				b.right.order[k] = append(b.right.order[k], i)
			}
		}
		b.order[k] = nil
	}
}

// palette appends the mean color of each box.
func (b *colorBox) palette(list []colorCount, to [][3]uint8) [][3]uint8 {
	if b.left != nil {
		return b.right.palette(list, b.left.palette(list, to))
	}
	var sums [3]int64
	for _, i := range b.order[0] {
		for k, v := range list[i].sums {
			sums[k] += v
		}
	}
	var mean [3]uint8
	for k, v := range sums {
		mean[k] = uint8(0.5 + float64(v)/float64(b.count))
	}
	return append(to, mean)
}

// boxHeap is a binary heap with the box of the most pixels on top. Which of equal ones comes first is that of Pillow's
// QuantHeap.c, because it shows in the palette.
type boxHeap []*colorBox

func (h *boxHeap) push(b *colorBox) {
	*h = append(*h, b)
	k := len(*h)
	for k != 1 && b.count > (*h)[k/2-1].count {
		(*h)[k-1] = (*h)[k/2-1]
		k /= 2
	}
	(*h)[k-1] = b
}

func (h *boxHeap) pop() *colorBox {
	list := *h
	if len(list) == 0 {
		return nil
	}
	top, last := list[0], list[len(list)-1]
	list = list[:len(list)-1]
	*h = list
	if len(list) == 0 {
		return top
	}
	k := 1
	for 2*k <= len(list) {
		next := 2 * k
		if next < len(list) && list[next-1].count < list[next].count {
			next++
		}
		if last.count > list[next-1].count {
			break
		}
		list[k-1] = list[next-1]
		k = next
	}
	list[k-1] = last
	return top
}
