package main

import (
	"bytes"
	"context"
	"math"
	"math/big"

	"comfygo/engine"
	"comfygo/engine/media"
	"comfygo/engine/tensor"
	"comfygo/internal/geometry"
	"comfygo/internal/geometry/glb"
	"comfygo/internal/geometry/splat"
	"comfygo/internal/video"
)

// noise returns a value in 0…1 for each number, without a pattern.
func noise(i int) float32 {
	x := uint32(i)*0x9E3779B1 + 0x85EBCA77 //nolint:gosec // the lower bits
	x ^= x >> 15
	x *= 0x2C1B3C6D
	x ^= x >> 12
	x *= 0x297A2D39
	return float32(x^x>>15) / math.MaxUint32
}

// grid returns a square of about n triangles with smooth bumps, and heights with the given part of a cell's side at random.
func grid(n int, rough float32, uvs bool) *geometry.Mesh {
	side := max(int(math.Sqrt(float64(n)/2)), 1)
	it := geometry.Item{Vertices: make([]float32, 0, 3*(side+1)*(side+1)), Faces: make([]int32, 0, 6*side*side)}
	cell := 2 / float32(side)
	for y := range side + 1 {
		for x := range side + 1 {
			u, v := float64(x)/float64(side), float64(y)/float64(side)
			z := float32(0.1*math.Sin(12*u)*math.Cos(9*v)) + rough*cell*noise(y*(side+1)+x)
			it.Vertices = append(it.Vertices, float32(2*u-1), float32(2*v-1), z)
			if uvs {
				it.UVs = append(it.UVs, float32(u), float32(v))
			}
		}
	}
	for y := range int32(side) {
		for x := range int32(side) {
			a := y*int32(side+1) + x
			c := a + int32(side) + 1
			it.Faces = append(it.Faces, a, a+1, c, a+1, c+1, c)
		}
	}
	return &geometry.Mesh{Items: []geometry.Item{it}}
}

// loose returns a grid whose triangles share no vertices.
func loose(n int) *geometry.Mesh {
	m := grid(n, 0, false)
	it := &m.Items[0]
	out := geometry.Item{Vertices: make([]float32, 0, 3*len(it.Faces)), Faces: make([]int32, len(it.Faces))}
	for i, v := range it.Faces {
		out.Vertices = append(out.Vertices, it.Vertices[3*v:3*v+3]...)
		out.Faces[i] = int32(i)
	}
	m.Items[0] = out
	return m
}

// sphere returns a sphere of about n triangles.
func sphere(n int) *geometry.Mesh {
	m := grid(n, 0, false)
	p := m.Items[0].Vertices
	for i := 0; i < len(p); i += 3 {
		lon, lat := float64(p[i])*math.Pi, float64(p[i+1])*math.Pi/2
		p[i], p[i+1], p[i+2] = float32(math.Cos(lon)*math.Cos(lat)), float32(math.Sin(lat)), float32(math.Sin(lon)*math.Cos(lat))
	}
	return m
}

// cloud returns n Gaussians on a sphere.
func cloud(n int) *geometry.Splats {
	it := geometry.SplatItem{
		Positions: make([]float32, 3*n), Scales: make([]float32, 3*n), Rotations: make([]float32, 4*n), Opacities: make([]float32, n),
		SH: make([]float32, 3*n), K: 1,
	}
	size := 2 / float32(math.Sqrt(float64(n)))
	for i := range n {
		z, a := 2*float64(noise(2*i))-1, 2*math.Pi*float64(noise(2*i+1))
		r := math.Sqrt(1 - z*z)
		copy(it.Positions[3*i:], []float32{float32(r * math.Cos(a)), float32(r * math.Sin(a)), float32(z)})
		copy(it.Scales[3*i:], []float32{size, size, size / 4})
		it.Rotations[4*i], it.Opacities[i] = 1, 0.5+noise(i)/2
		it.SH[3*i] = noise(i + 7)
	}
	return &geometry.Splats{Items: []geometry.SplatItem{it}}
}

// volume returns a ball with a rough surface in about n voxels.
func volume(n int) *geometry.Voxels {
	side := max(int(math.Cbrt(float64(n))), 2)
	t := tensor.New(1, side, side, side)
	i := 0
	for z := range side {
		for y := range side {
			for x := range side {
				dx, dy, dz := float64(2*x-side)/float64(side), float64(2*y-side)/float64(side), float64(2*z-side)/float64(side)
				t.Data[i] = float32(1.2-math.Sqrt(dx*dx+dy*dy+dz*dz)) + 0.2*noise(i)
				i++
			}
		}
	}
	return &geometry.Voxels{Grid: t}
}

// cells returns n colored voxels on the surface of grid.
func cells(n int) *geometry.Voxels {
	const resolution = 1 << 12
	side := max(int(math.Sqrt(float64(n))), 1)
	v := &geometry.Voxels{Cells: make([]int32, 0, 3*side*side), Colors: tensor.New(side*side, 3), Resolution: resolution}
	for y := range side {
		for x := range side {
			v.Cells = append(v.Cells, int32(x*resolution/side), int32(y*resolution/side), resolution/2)
		}
	}
	for i := range v.Colors.Data {
		v.Colors.Data[i] = noise(i)
	}
	return v
}

// glbFile returns a GLB file of a mesh in memory.
func glbFile(m *geometry.Mesh) (*geometry.File, error) {
	var b bytes.Buffer
	if err := glb.Write(context.Background(), &b, m, 0, nil); err != nil {
		return nil, err
	}
	return geometry.Memory(b.Bytes(), "glb"), nil
}

// splatFile returns a file of n Gaussians in memory.
func splatFile(n int, format string) (*geometry.File, error) {
	data, err := splat.Write(context.Background(), &cloud(n).Items[0], format)
	if err != nil {
		return nil, err
	}
	return geometry.Memory(data, format), nil
}

// square returns an image or a mask of about n values: [1,H,W,C], or [1,H,W] for a channel count of 0.
func square(n, channels int) *tensor.Tensor { return frames(1, n, channels) }

// frames returns a batch of b images of about n values in all.
func frames(b, n, channels int) *tensor.Tensor {
	side := max(int(math.Sqrt(float64(n)/float64(b*max(channels, 1)))), 1)
	shape := []int{b, side, side, channels}
	if channels == 0 {
		shape = shape[:3]
	}
	t := tensor.New(shape...)
	for i := range t.Data {
		t.Data[i] = float32(int(255*noise(i/64)/4+191*noise(i/4096))) / 255 // as smooth as a photo
	}
	return t
}

// sound returns n values of stereo audio at 44100 Hz.
func sound(n int) *media.Audio {
	t := tensor.New(1, 2, max(n/2, 1))
	for i := range t.Data {
		t.Data[i] = noise(i) - 0.5
	}
	return &media.Audio{Waveform: t, SampleRate: 44100}
}

// clip returns a video of images.
func clip(b, n int) *video.Made {
	return &video.Made{Images: frames(b, n, 3), Rate: big.NewRat(24, 1), Depth: 8}
}

// latent returns a latent of about n values.
func latent(n, channels, frames int) engine.Latent {
	side := max(int(math.Sqrt(float64(n)/float64(channels*frames))), 1)
	shape := []int{1, channels, frames, side, side}
	if frames == 1 {
		shape = []int{1, channels, side, side}
	}
	t := tensor.New(shape...)
	for i := range t.Data {
		t.Data[i] = noise(i)*2 - 1
	}
	return engine.Latent{Samples: t}
}
