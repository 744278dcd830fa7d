package imaging

import "math"

// PaletteMap finds the entries of a palette for colors, as Pillow's conversion to a palette does (src/libImaging/Palette.c): for
// a color's upper six bits the entry that is nearest to the lowest color with these, the first of equal ones.
type PaletteMap struct {
	colors [][3]uint8
	cells  []int16 // nearest entry by 6 bits of each channel, below 0 where it is not known yet
}

// Bits of a channel that count, and of a block of cells that are filled together.
const (
	cellBits  = 6
	blockBits = 3
	cellStep  = 1 << (8 - cellBits)
	blockSide = 1 << blockBits
)

// NewPaletteMap returns the map of a palette, which has 1 to 256 colors.
func NewPaletteMap(colors [][3]uint8) *PaletteMap {
	m := &PaletteMap{colors: colors, cells: make([]int16, 1<<(3*cellBits))}
	for i := range m.cells {
		m.cells[i] = -1
	}
	return m
}

// Nearest returns the place of the entry for a color.
func (m *PaletteMap) Nearest(r, g, b uint8) int {
	cell := &m.cells[cellOf(r, g, b)]
	if *cell < 0 {
		m.fill(r, g, b)
	}
	return int(*cell)
}

func cellOf(r, g, b uint8) int {
	const shift = 8 - cellBits
	return int(r>>shift) | int(g>>shift)<<cellBits | int(b>>shift)<<(2*cellBits)
}

// fill finds the entries for all cells of the block that a color is in. Entries that are farther from all of the block than
// another is at most are left out.
func (m *PaletteMap) fill(r, g, b uint8) {
	const side = blockSide * cellStep
	low := [3]int{int(r) &^ (side - 1), int(g) &^ (side - 1), int(b) &^ (side - 1)}
	nearest := make([]int, len(m.colors)) // least distance of each entry
	bound := math.MaxInt
	for i, c := range m.colors {
		var least, most int
		for k, v := range c {
			from, to := low[k]-int(v), low[k]+side-1-int(v)
			if from > 0 {
				least += from * from
			} else if to < 0 {
				least += to * to
			}
			most += max(from*from, to*to)
		}
		nearest[i], bound = least, min(bound, most)
	}
	for i := range blockSide {
		for j := range blockSide {
			for k := range blockSide {
				at := [3]int{low[0] + i*cellStep, low[1] + j*cellStep, low[2] + k*cellStep}
				best, distance := 0, math.MaxInt
				for e, c := range m.colors {
					if nearest[e] > bound {
						continue
					}
					dr, dg, db := at[0]-int(c[0]), at[1]-int(c[1]), at[2]-int(c[2])
					if d := dr*dr + dg*dg + db*db; d < distance {
						best, distance = e, d
					}
				}
				m.cells[cellOf(uint8(at[0]), uint8(at[1]), uint8(at[2]))] = int16(best)
			}
		}
	}
}

// Apply replaces the colors of interleaved RGB bytes by those of the palette.
func (m *PaletteMap) Apply(pix []byte) {
	for i := 0; i+3 <= len(pix); i += 3 {
		p := pix[i : i+3 : i+3]
		c := m.colors[m.Nearest(p[0], p[1], p[2])]
		p[0], p[1], p[2] = c[0], c[1], c[2]
	}
}

// Diffuse is Apply with the errors spread over the pixels that follow (Floyd and Steinberg, 1976), in integers and with the
// quirk of Pillow's: what is left over at the end of a row is the blue error for all channels.
func (m *PaletteMap) Diffuse(pix []byte, width int) {
	below := make([]int, 3*(width+1)) // 16 times the errors of the row above
	for row := 0; row+3*width <= len(pix); row += 3 * width {
		var carry, first, second [3]int
		for x := range width {
			p, e := pix[row+3*x:][:3], below[3*x:][:6]
			for k := range p {
				p[k] = uint8(min(max(int(p[k])+(carry[k]+e[3+k])/16, 0), 255))
			}
			c := m.colors[m.Nearest(p[0], p[1], p[2])]
			for k, v := range c {
				off := int(p[k]) - int(v)
				p[k] = v
				e[k] = 3*off + first[k]
				first[k], second[k] = 5*off+second[k], off
				carry[k] = 7 * off
			}
		}
		last := below[3*width:]
		last[0], last[1], last[2] = first[2], second[2], second[2]
	}
}
