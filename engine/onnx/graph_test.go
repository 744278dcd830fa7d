package onnx_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"comfygo/engine/dtype"
	"comfygo/engine/onnx"
)

func TestShapesAreInferred(t *testing.T) {
	t.Parallel()
	b, h, w := onnx.Sym("B"), onnx.Sym("H"), onnx.Sym("W")
	cases := []struct {
		name string
		make func(g *onnx.Graph) *onnx.Value
		want string
	}{
		{"conv keeps symbolic sizes", func(g *onnx.Graph) *onnx.Value {
			x := g.Input("x", dtype.F32, b, onnx.D(4), h, w)
			return g.Conv(x, g.Weight("w", dtype.F32, []int{8, 4, 3, 3}, nil), nil, 1, onnx.Pad1())
		}, "[B 8 H W]"},
		{"stride halves known sizes, rounding up", func(g *onnx.Graph) *onnx.Value {
			x := g.Input("x", dtype.F32, onnx.Dims(1, 4, 9, 8)...)
			return g.Conv(x, g.Weight("w", dtype.F32, []int{4, 4, 3, 3}, nil), nil, 1, onnx.Window{Stride: 2, Pads: [4]int{1, 1, 1, 1}})
		}, "[1 4 5 4]"},
		{"broadcast", func(g *onnx.Graph) *onnx.Value {
			return g.Add(g.Input("x", dtype.F32, b, onnx.D(4), h, w), g.Weight("w", dtype.F32, []int{4, 1, 1}, nil))
		}, "[B 4 H W]"},
		{"matmul", func(g *onnx.Graph) *onnx.Value {
			return g.MatMul(g.Input("x", dtype.F32, b, onnx.Sym("T"), onnx.D(6)), g.Weight("w", dtype.F32, []int{6, 5}, nil))
		}, "[B T 5]"},
		{"split and concat", func(g *onnx.Graph) *onnx.Value {
			p := g.Split(g.Input("x", dtype.F32, b, onnx.D(6)), -1, 2, 4)
			return g.Concat(-1, p[1], p[0], p[0])
		}, "[B 8]"},
		{"depth to space", func(g *onnx.Graph) *onnx.Value {
			return g.DepthToSpace(g.Input("x", dtype.F32, onnx.Dims(1, 12, 5, 7)...), 2)
		}, "[1 3 10 14]"},
		{"padded output channels of the blocked layout", func(g *onnx.Graph) *onnx.Value {
			x := g.ReorderInput(g.Input("x", dtype.F32, b, onnx.D(16), h, w))
			return g.ReorderOutput(g.ConvBlocked(x, g.Weight("w", dtype.F32, []int{16, 16, 3, 3}, nil), nil, nil, onnx.Pad1()), 3)
		}, "[B 3 H W]"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got string
			_, err := onnx.Build("g", func(g *onnx.Graph) error {
				s := c.make(g).String()
				got = s[strings.Index(s, "["):]
				return nil
			})
			if err != nil || got != c.want {
				t.Fatalf("got %s, %v; want %s", got, err, c.want)
			}
		})
	}
}

func TestMisuseIsABuildErrorWithThePlace(t *testing.T) {
	t.Parallel()
	cases := map[string]func(g *onnx.Graph){
		"channels": func(g *onnx.Graph) {
			g.Conv(g.Input("x", dtype.F32, onnx.Dims(1, 3, 8, 8)...), g.Weight("w", dtype.F32, []int{8, 4, 3, 3}, nil), nil, 1, onnx.Pad1())
		},
		"types": func(g *onnx.Graph) {
			g.Add(g.Input("x", dtype.F32, onnx.D(1)), g.Input("y", dtype.F16, onnx.D(1)))
		},
		"broadcast": func(g *onnx.Graph) {
			g.Add(g.Input("x", dtype.F32, onnx.D(3)), g.Input("y", dtype.F32, onnx.D(2)))
		},
		"reshape": func(g *onnx.Graph) {
			g.Reshape(g.Input("x", dtype.F32, onnx.D(6)), onnx.D(4), onnx.D(2))
		},
		"weight twice": func(g *onnx.Graph) {
			g.Weight("w", dtype.F32, []int{1}, nil)
			g.Weight("w", dtype.F32, []int{2}, nil)
		},
		"heads": func(g *onnx.Graph) {
			x := g.Input("x", dtype.F32, onnx.Dims(1, 2, 10)...)
			g.MultiHeadAttention(x, x, x, nil, 3, 1, false)
		},
	}
	for name, f := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := onnx.Build("unet", func(g *onnx.Graph) error {
				g.At("input_blocks.1")
				f(g)
				return nil
			})
			var be *onnx.BuildError
			if !errors.As(err, &be) || be.Scope != "input_blocks.1" || !strings.Contains(err.Error(), "unet") {
				t.Fatalf("got %v, want a build error that names the graph and the place", err)
			}
		})
	}
}

func TestBuildPassesOtherPanicsOn(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Fatal("a panic that is no build error was swallowed")
		}
	}()
	_, _ = onnx.Build("g", func(*onnx.Graph) error { panic("boom") })
}

func TestMarshal(t *testing.T) {
	t.Parallel()
	g, err := onnx.Build("tiny", func(g *onnx.Graph) error {
		x := g.Input("x", dtype.F32, onnx.Sym("B"), onnx.D(2))
		w := g.Weight("w", dtype.F16, []int{2, 2}, nil)
		b := g.Weight("b", dtype.F32, []int{2}, nil)
		g.Output("y", g.Add(g.MatMul(x, g.Cast(w, dtype.F32)), b))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	model, err := g.Marshal(func(in onnx.Initializer) (onnx.Placement, error) {
		if in.Name == "b" {
			return onnx.Placement{Inline: make([]byte, 8)}, nil
		}
		return onnx.Placement{Location: "a/b.safetensors", Offset: 4097, Length: 8}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	walk(t, model, 0)
	for _, want := range []string{"a/b.safetensors", "4097", "MatMul", "tiny", "comfygo"} {
		if !bytes.Contains(model, []byte(want)) {
			t.Errorf("the model lacks %q", want)
		}
	}
	var text strings.Builder
	if err := g.Print(&text); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(text.String(), "\n"); got != 1+1+g.Nodes()+1 {
		t.Errorf("printed %d lines:\n%s", got, text.String())
	}
}

// walk fails unless b is a well-formed message.
func walk(t *testing.T, b []byte, depth int) {
	t.Helper()
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 || num > 20 {
			t.Fatalf("bad tag at depth %d", depth)
		}
		m := protowire.ConsumeFieldValue(num, typ, b[n:])
		if m < 0 {
			t.Fatalf("bad field %d at depth %d", num, depth)
		}
		b = b[n+m:]
	}
}

func TestMarshalReportsWhichWeightCouldNotBePlaced(t *testing.T) {
	t.Parallel()
	g, err := onnx.Build("g", func(g *onnx.Graph) error {
		g.Output("y", g.Weight("some.weight", dtype.F32, []int{1}, nil))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	cause := errors.New("no such file")
	if _, err = g.Marshal(func(onnx.Initializer) (onnx.Placement, error) { return onnx.Placement{}, cause }); !errors.Is(err, cause) || !strings.Contains(err.Error(), "some.weight") {
		t.Fatalf("got %v", err)
	}
}
