package goldencheck

import (
	"context"
	"fmt"

	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

type nodeCase struct {
	ID    string         `json:"id"`
	Class string         `json:"class"`
	MS    string         `json:"ms"`
	Args  map[string]any `json:"args"`
	Outs  []int          `json:"outs"`
}

// checkScheduleNodes runs nodes that make or change sigmas. The caller has imported the node classes.
func checkScheduleNodes(ctx context.Context, r *run, f *file) error {
	var g struct {
		Cases []nodeCase `json:"cases"`
	}
	var vectors packed
	if err := f.loadPacked(&g, &vectors); err != nil {
		return err
	}
	models, err := samplingsBeside(f.path)
	if err != nil {
		return err
	}
	for _, c := range g.Cases {
		st, ok := models[c.MS]
		if !ok {
			st = settings{Type: sampling.EPS}
		}
		detail, err := "", error(nil)
		if c.MS != "" && !ok {
			err = unavailable("no file beside this one defines the model sampling %s", c.MS)
		} else {
			detail, err = c.run(ctx, st, vectors)
		}
		r.note(f, c.ID+" "+c.Class, detail, err)
	}
	return nil
}

func (c nodeCase) run(ctx context.Context, st settings, vectors packed) (string, error) {
	class, ok := nodes.Default().Get(c.Class)
	if !ok {
		return "", unavailable("the node class %s is not built", c.Class)
	}
	values := pyjson.NewObject()
	for name, v := range c.Args {
		if id, isText := v.(string); isText && name == "sigmas" {
			sigmas, err := vectors.get(id)
			if err != nil {
				return "", err
			}
			v = sigmas
		}
		values.Set(name, v)
	}
	if _, takes := class.Input("model"); takes {
		m, err := st.build()
		if err != nil {
			return "", err
		}
		values.Set("model", new(engine.Model).WithSampling(m)) // schedules ask a model for its sampling only
	}
	node, err := class.Bind(values, nil)
	if err != nil {
		return "", err
	}
	out, err := node.Run(nodes.NewContext(ctx, nodes.Call{ID: c.ID, PromptID: "goldencheck"}))
	if err != nil {
		return "", err
	}
	detail := ""
	for i := range c.Outs {
		want, err := vectors.get(fmt.Sprintf("%s.%d", c.ID, i))
		if err != nil {
			return "", err
		}
		if i >= len(out.Values) {
			return "", fmt.Errorf("the node has %d outputs, want %d", len(out.Values), len(c.Outs))
		}
		got, isSigmas := out.Values[i].([]float32)
		if !isSigmas {
			return "", fmt.Errorf("output %d is a %T, want sigmas", i, out.Values[i])
		}
		if detail, err = compareSigmas(got, want, scheduleTolerance(st.Type)); err != nil {
			return "", fmt.Errorf("output %d: %w", i, err)
		}
	}
	return detail, nil
}
