package engine

import "comfygo/engine/tensor"

// planar converts images [B,H,W,C] to [B,C,H,W].
func planar(p *tensor.Tensor) *tensor.Tensor {
	n, c := p.Dim(1)*p.Dim(2), p.Dim(3)
	out := tensor.New(p.Dim(0), c, p.Dim(1), p.Dim(2))
	for b := range p.Dim(0) {
		src, dst := p.Index(b), out.Index(b)
		for i := range n {
			for k := range c {
				dst.Data[k*n+i] = src.Data[i*c+k]
			}
		}
	}
	return out
}

// interleaved converts [B,C,H,W] to images [B,H,W,C].
func interleaved(x *tensor.Tensor) *tensor.Tensor {
	n, c := x.Dim(2)*x.Dim(3), x.Dim(1)
	out := tensor.New(x.Dim(0), x.Dim(2), x.Dim(3), c)
	for b := range x.Dim(0) {
		src, dst := x.Index(b), out.Index(b)
		for k := range c {
			for i, v := range src.Data[k*n : (k+1)*n] {
				dst.Data[i*c+k] = v
			}
		}
	}
	return out
}
