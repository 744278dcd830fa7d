package geometry

import "context"

// Gather returns the values of some vertices: values [N,width] at the numbers of source. Values of nil give nil.
func Gather(ctx context.Context, values []float32, source []int32, width int) ([]float32, error) {
	if values == nil {
		return nil, nil
	}
	out := make([]float32, width*len(source))
	return out, Each(ctx, len(source), func(i int) {
		from := width * int(source[i])
		copy(out[width*i:width*i+width], values[from:from+width])
	})
}

// Used numbers the vertices that faces have from 0 on in their order, and lists them. Entries of number for other vertices are 0.
func Used(ctx context.Context, faces []int32, vertices int) (number, source []int32, err error) {
	number = make([]int32, vertices)
	err = Each(ctx, len(faces), func(i int) { number[faces[i]] = 1 })
	if err != nil {
		return nil, nil, err
	}
	err = Each(ctx, vertices, func(v int) {
		if number[v] != 0 {
			number[v] = int32(len(source))
			source = append(source, int32(v))
		}
	})
	return number, source, err
}

// Compact leaves out vertices without faces; attributes other than colors are dropped.
func Compact(ctx context.Context, it Item) (Item, error) {
	number, source, err := Used(ctx, it.Faces, it.VertexCount())
	if err != nil {
		return it, err
	}
	out := Item{Channels: it.Channels, Faces: make([]int32, len(it.Faces))}
	if err := Each(ctx, len(it.Faces), func(i int) { out.Faces[i] = number[it.Faces[i]] }); err != nil {
		return it, err
	}
	if out.Vertices, err = Gather(ctx, it.Vertices, source, 3); err != nil {
		return it, err
	}
	out.Colors, err = Gather(ctx, it.Colors, source, it.Channels)
	return out, err
}
