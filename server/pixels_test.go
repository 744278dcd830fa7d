package server_test

import (
	"fmt"
	"strings"
	"testing"

	"comfygo/auth"
	"comfygo/executor"
	"comfygo/nodes"
	"comfygo/nodes/image"
	"comfygo/server"
)

// The nodes below say their sizes in each of the usual ways.
type canvas struct {
	Width  int `in:"width" default:"512"`
	Height int `in:"height" default:"512"`
	Batch  int `in:"batch_size" default:"1"`
}

func (*canvas) Spec() nodes.Spec { return imageSpec("Canvas", "LATENT") }
func (*canvas) Sizes(s *nodes.Sizing) nodes.Images {
	return s.Canvas(s.Number("width"), s.Number("height"), "batch_size")
}

func (n *canvas) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Out(n.Width * n.Height), nil
}

type grow struct {
	Image any     `in:"image" opts:"{}"`
	By    float64 `in:"scale_by" default:"1"`
}

func (*grow) Spec() nodes.Spec                           { return imageSpec("Grow", "IMAGE") }
func (*grow) Sizes(s *nodes.Sizing) nodes.Images         { return s.In.Times(s.Number("scale_by")) }
func (n *grow) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(n.By), nil }

type again struct {
	Samples any `in:"samples" opts:"{}"`
	Amount  int `in:"amount" default:"1"`
}

func (*again) Spec() nodes.Spec                           { return imageSpec("Again", "LATENT") }
func (*again) Sizes(s *nodes.Sizing) nodes.Images         { return s.RepeatedBy("amount") }
func (n *again) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(n.Amount), nil }

type resize struct {
	Image  any `in:"image" opts:"{}"`
	Width  int `in:"width" default:"512"`
	Height int `in:"height" default:"512"`
}

func (*resize) Spec() nodes.Spec { return imageSpec("Resize", "IMAGE") }
func (*resize) Sizes(s *nodes.Sizing) nodes.Images {
	return s.Canvas(s.Number("width"), s.Number("height"))
}
func (n *resize) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(n.Width), nil }

type hint struct {
	Width  int `in:"width" default:"512"`
	Height int `in:"height" default:"512"`
}

func (*hint) Spec() nodes.Spec                           { return imageSpec("Hint", "CONDITIONING") }
func (n *hint) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(n.Width), nil }

type open struct {
	Image string `in:"image" default:""`
}

func (*open) Spec() nodes.Spec                           { return imageSpec("Open", "IMAGE") }
func (*open) Sizes(s *nodes.Sizing) nodes.Images         { return (*image.LoadImage)(nil).Sizes(s) }
func (n *open) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(n.Image), nil }

type sum struct {
	A int `in:"a" default:"1"`
	B int `in:"b" default:"1"`
}

func (*sum) Spec() nodes.Spec                           { return imageSpec("Sum", "INT") }
func (n *sum) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(n.A + n.B), nil }

func imageSpec(name, out string) nodes.Spec {
	return nodes.Spec{Name: name, Category: "test", Outputs: nodes.Outputs(out)}
}

// TestMegapixels counts what graphs would make and holds them against a limit of one megapixel.
func TestMegapixels(t *testing.T) {
	t.Parallel()
	a := startAuth(t, nil, func(c *server.Config) {
		registry := nodes.NewRegistry()
		for _, n := range []nodes.Node{&number{}, &show{}, &canvas{}, &grow{}, &again{}, &resize{}, &hint{}, &open{}, &sum{}} {
			if err := registry.Add(n); err != nil {
				t.Fatal(err)
			}
		}
		c.Executor = executor.New(executor.Config{Registry: registry, Services: nodes.Services{Folders: c.Folders}})
	})
	if _, err := a.store.SetLimits(t.Context(), byAdmin, auth.RoleUser, auth.Limits{Megapixels: 1}); err != nil {
		t.Fatal(err)
	}
	body, kind := uploadForm(t, "pic.png", string(testPNG(t, 600, 500)))
	if got := a.as("ann", "POST", "/upload/image", body, "Content-Type", kind); got.status != 200 {
		t.Fatal(got.body)
	}
	node := func(id, class, inputs string) string {
		return fmt.Sprintf(`"%s": {"class_type": "%s", "inputs": {%s}}`, id, class, inputs)
	}
	var chain []string
	for i := 2; i < 60; i++ { // two inputs each: many ways through the graph, one look at each node
		chain = append(chain, node(fmt.Sprint(i), "Grow", fmt.Sprintf(`"image": ["%d", 0], "scale_by": 1.0`, i-1)))
	}
	for name, c := range map[string]struct {
		nodes string
		want  string // part of the refusal; "" is accepted
	}{
		"small":              {node("1", "Canvas", `"width": 512, "height": 512, "batch_size": 1`), ""},
		"just as large":      {node("1", "Canvas", `"width": 1000, "height": 1000, "batch_size": 1`), ""},
		"too large":          {node("1", "Canvas", `"width": 1001, "height": 1000, "batch_size": 1`), "makes 1.00 megapixels"},
		"a batch":            {node("1", "Canvas", `"width": 512, "height": 512, "batch_size": 4`), "makes 1.05 megapixels"},
		"made larger":        {node("1", "Grow", `"image": ["3", 0], "scale_by": 2.0`) + "," + node("3", "Canvas", `"width": 512, "height": 512, "batch_size": 1`), "makes 1.31"},
		"repeated":           {node("1", "Again", `"samples": ["3", 0], "amount": 5`) + "," + node("3", "Canvas", `"width": 512, "height": 512, "batch_size": 1`), "makes 1.57"},
		"a batch resized":    {node("1", "Resize", `"image": ["3", 0], "width": 900, "height": 900`) + "," + node("3", "Canvas", `"width": 64, "height": 64, "batch_size": 2`), "makes 1.63"},
		"a hint is no size":  {node("1", "Hint", `"width": 9000, "height": 9000`), ""},
		"a constant":         {node("1", "Canvas", `"width": ["3", 0], "height": 512, "batch_size": 1`) + "," + node("3", "Number", `"value": 100`), ""},
		"a large constant":   {node("1", "Canvas", `"width": ["3", 0], "height": 90000, "batch_size": 1`) + "," + node("3", "Number", `"value": 100`), "makes 9.00"},
		"an unknown size":    {node("1", "Canvas", `"width": ["3", 0], "height": 512, "batch_size": 1`) + "," + node("3", "Sum", `"a": 1, "b": 2`), "cannot be told"},
		"a file":             {node("1", "Grow", `"image": ["3", 0], "scale_by": 1.5`) + "," + node("3", "Open", `"image": "pic.png"`), ""},
		"a file made larger": {node("1", "Grow", `"image": ["3", 0], "scale_by": 2.0`) + "," + node("3", "Open", `"image": "pic.png"`), "makes 1.20"},
		"a negative size":    {node("1", "Canvas", `"width": -2000, "height": 2000, "batch_size": 1`), "makes 4.00"},
		"a huge size":        {node("1", "Canvas", `"width": 99999999999999999999, "height": 1, "batch_size": 1`), "megapixels"},
		"a circle":           {node("1", "Grow", `"image": ["3", 0], "scale_by": 2.0`) + "," + node("3", "Grow", `"image": ["1", 0], "scale_by": 2.0`), "cannot be told"},
		"a long chain":       {node("1", "Canvas", `"width": 64, "height": 64, "batch_size": 1`) + "," + strings.Join(chain, ","), ""},
	} {
		graph := `{` + c.nodes + `, "2x": {"class_type": "Show", "inputs": {"value": ["1", 0]}}}`
		got := a.as("ann", "POST", "/prompt", `{"prompt": `+graph+`}`)
		if c.want == "" && got.status != 200 || c.want != "" && (got.status != 403 || !strings.Contains(got.body, c.want) || !strings.Contains(got.body, "too_many_megapixels")) {
			t.Errorf("%s: %d %s, want %q", name, got.status, got.body, c.want)
		}
		if got := a.as("root", "POST", "/prompt", `{"prompt": `+graph+`}`); got.status == 403 {
			t.Errorf("%s: the administrator is refused", name)
		}
	}
}
