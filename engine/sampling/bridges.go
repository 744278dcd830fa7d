package sampling

import (
	"math"

	"comfygo/engine/vec"
)

// bridgeChunk is how many elements of a path are drawn at a time: the increments of all nodes that some spans need then stay in a
// near cache. It is a multiple of the 16 values that a generator makes at once.
const bridgeChunk = 512

// bridges draws increments of a tree's nodes, a chunk of elements at a time. Nothing of a node is kept but its generator while the
// chunks go by, so that the memory does not grow with the latent nor with the steps.
type bridges struct {
	list []*bridge
	used int
}

// bridge halves one node's increment.
type bridge struct {
	node        *interval
	noise       Generator
	mean, share float32
	spread      float32
	right       bool // whether the right half is needed
	z           [bridgeChunk + 15]float32
	halves      [2][bridgeChunk + 15]float32
}

// draw writes the sums of the covers' increments to out.
func (b *bridges) draw(t *brownianTree, covers [][]*interval, out [][]float32, stop <-chan struct{}) {
	defer b.forget()
	for _, cover := range covers {
		for _, x := range cover {
			b.need(x)
		}
	}
	for from := 0; from < t.n; {
		select {
		case <-stop:
			return
		default:
		}
		to := from + bridgeChunk
		if t.n-to < 16 { // the rest is drawn with the last full block
			to = t.n
		}
		for _, x := range b.list[:b.used] {
			x.fill(b.increment(t, x.node, from, to))
		}
		for i, cover := range covers {
			total := out[i][from:to]
			for k, x := range cover {
				if part := b.increment(t, x, from, to); k == 0 {
					copy(total, part)
				} else {
					vec.AddScaled(total, part, 1)
				}
			}
		}
		from = to
	}
}

// need ensures that a node's increment is drawn, after those of the nodes above it.
func (b *bridges) need(x *interval) {
	p := x.parent
	if p == nil {
		return
	}
	if p.bridge == 0 {
		b.need(p)
		b.add(p)
	}
	if !x.isLeft {
		b.list[p.bridge-1].right = true
	}
}

func (b *bridges) add(p *interval) {
	if b.used == len(b.list) {
		b.list = append(b.list, new(bridge))
	}
	x := b.list[b.used]
	b.used++
	p.bridge = b.used
	left, right, inverse := p.mid-p.start, p.end-p.mid, 1/(p.end-p.start)
	x.node, x.noise, x.right = p, *NewGenerator(p.seed), false
	x.mean, x.share, x.spread = float32(inverse), float32(left), float32(math.Sqrt(left*right*inverse))
}

// forget frees the nodes for another drawing.
func (b *bridges) forget() {
	for _, x := range b.list[:b.used] {
		x.node.bridge, x.node = 0, nil
	}
	b.used = 0
}

// increment returns elements of a node's increment, which were drawn before.
func (b *bridges) increment(t *brownianTree, x *interval, from, to int) []float32 {
	if x.parent == nil {
		return t.whole[from:to]
	}
	half := &b.list[x.parent.bridge-1].halves[1]
	if x.isLeft {
		half = &b.list[x.parent.bridge-1].halves[0]
	}
	return half[:to-from]
}

// fill draws the halves of the next elements of the node's increment.
func (x *bridge) fill(whole []float32) {
	left, right, z := x.halves[0][:len(whole)], x.halves[1][:len(whole)], x.z[:len(whole)]
	x.noise.Randn(z)
	vec.Scale(left, whole, x.share)
	vec.Scale(left, left, x.mean)
	vec.AddScaled(left, z, x.spread)
	if x.right {
		copy(right, whole)
		vec.AddScaled(right, left, -1)
	}
}
