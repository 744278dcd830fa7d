package sam3

import (
	"slices"

	"comfygo/engine/tensor"
)

// overlap is how much two masks (the values above 0) cover each other: the larger of intersection over union and intersection over the smaller area.
func overlap(a, b []float32) float32 {
	var both, first, second float32
	for i, v := range a {
		in, other := v > 0, b[i] > 0
		if in {
			first++
		}
		if other {
			second++
		}
		if in && other {
			both++
		}
	}
	return max(both/max(first+second-both, 1), both/max(min(first, second), 1))
}

// distinct drops masks [N,h,w] that cover one of a higher score by half or more; the result is ordered by score.
func distinct(masks *tensor.Tensor, scores []float32) (*tensor.Tensor, []float32) {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case scores[a] > scores[b]:
			return -1
		case scores[a] < scores[b]:
			return 1
		}
		return 0
	})
	var keep []int
	for _, i := range order {
		if !slices.ContainsFunc(keep, func(k int) bool { return overlap(masks.Index(i).Data, masks.Index(k).Data) >= same }) {
			keep = append(keep, i)
		}
	}
	return pick(masks, keep), pickScores(scores, keep)
}

// same is the overlap from which on two masks are of one object.
const same = 0.5

// pick returns rows of masks.
func pick(masks *tensor.Tensor, rows []int) *tensor.Tensor {
	out := tensor.New(append([]int{len(rows)}, masks.Shape[1:]...)...)
	for i, r := range rows {
		copy(out.Index(i).Data, masks.Index(r).Data)
	}
	return out
}

func pickScores(scores []float32, rows []int) []float32 {
	out := make([]float32, len(rows))
	for i, r := range rows {
		out[i] = scores[r]
	}
	return out
}

// tidy fills holes of at most most cells in a mask of w columns, and removes pieces of at most as many cells, or of half the mask where that is less.
func tidy(mask []float32, w, most int) {
	const filled, removed = 0.1, -0.1
	for _, piece := range pieces(mask, w, func(v float32) bool { return v <= 0 }) {
		for _, at := range piece {
			if len(piece) <= most {
				mask[at] = filled
			}
		}
	}
	area := 0
	for _, v := range mask {
		if v > 0 {
			area++
		}
	}
	for _, piece := range pieces(mask, w, func(v float32) bool { return v > 0 }) {
		for _, at := range piece {
			if len(piece) <= min(area/2, most) {
				mask[at] = removed
			}
		}
	}
}

// pieces are the connected places of a plane of w columns whose values are in; places are neighbours along rows and columns.
func pieces(v []float32, w int, in func(float32) bool) [][]int {
	done := make([]bool, len(v))
	var out [][]int
	for i := range v {
		if done[i] || !in(v[i]) {
			continue
		}
		done[i] = true
		piece := []int{i}
		for k := 0; k < len(piece); k++ {
			at := piece[k]
			for _, next := range neighbours(at, w, len(v)) {
				if next >= 0 && !done[next] && in(v[next]) {
					done[next] = true
					piece = append(piece, next)
				}
			}
		}
		out = append(out, piece)
	}
	return out
}

// neighbours are the places around one; -1 beyond the border.
func neighbours(at, w, n int) [4]int {
	list := [4]int{at - w, at - 1, at + 1, at + w}
	if at%w == 0 {
		list[1] = -1
	}
	if at%w == w-1 {
		list[2] = -1
	}
	if list[3] >= n {
		list[3] = -1
	}
	return list
}

// pack appends a mask (the values above 0) in bits.
func (m *model) pack(to []byte, mask []float32) []byte {
	if m.packed != nil {
		m.packed(mask)
	}
	for i := 0; i < len(mask); i += 8 {
		var b byte
		for k, v := range mask[i:min(i+8, len(mask))] {
			if v > 0 {
				b |= 1 << k
			}
		}
		to = append(to, b)
	}
	return to
}
