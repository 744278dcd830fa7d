package goldencheck

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"comfygo/engine"
	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/internal/golden"
)

type moduleCase struct {
	ID    string                     `json:"id"`
	Args  map[string]json.RawMessage `json:"args"`
	Outs  map[string]arg             `json:"outs"`
	Err64 errorsOf                   `json:"err64"`
}

// checkModules calls modules with a stated config.
func checkModules(ctx context.Context, r *run, f *file) error {
	var g struct {
		Cases  []moduleCase    `json:"cases"`
		Model  string          `json:"model"`
		Class  string          `json:"cls"`
		Config json.RawMessage `json:"config"`
	}
	stored, err := f.load(&g)
	if err != nil {
		return err
	}
	measured := []float64{r.measured[f.name]}
	for _, c := range g.Cases {
		for _, e := range c.Err64 {
			measured = append(measured, e.RMSRel)
		}
	}
	module, loadErr := r.module(ctx, g.Model, g.Class, g.Config)
	for _, c := range g.Cases {
		s := tensorSet{stored: stored, prefix: c.ID + "/", tol: tolerance(measured...)}
		err := loadErr
		if err == nil {
			err = c.run(ctx, module, r.recipePrefix(f), &s)
		}
		r.note(f, c.ID+" "+g.Class, s.detail(), err)
	}
	return nil
}

func (r *run) module(ctx context.Context, model, class string, config []byte) (*engine.Module, error) {
	file, err := r.checkpoint(ctx, model)
	if err != nil {
		return nil, err
	}
	m, err := r.Runtime.LoadModule(file, class, config)
	return m, notBuilt(err)
}

func (c moduleCase) run(ctx context.Context, module *engine.Module, prefix string, s *tensorSet) error {
	args, err := c.arguments(prefix, s.stored)
	if err != nil {
		return err
	}
	out, err := module.Call(ctx, args)
	if err != nil {
		return fmt.Errorf("running the module: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Outs)) {
		i := 0
		if _, number, ok := strings.Cut(name, "."); ok {
			if _, err := fmt.Sscan(number, &i); err != nil {
				return unavailable("the result %s is not known", name)
			}
		}
		if i < 0 || i >= len(out) || out[i] == nil {
			s.errs = append(s.errs, fmt.Errorf("%s: the module does not give it", name))
			continue
		}
		s.compare(name, out[i].Data)
	}
	return s.err()
}

// arguments makes the arguments of a call: tensors that are stored whole or made by the recipe, the others as they stand.
func (c moduleCase) arguments(prefix string, stored *golden.Tensors) (family.Arguments, error) {
	args := family.Arguments{Tensors: map[string]*tensor.Tensor{}, Values: map[string]json.RawMessage{}}
	for _, name := range slices.Sorted(maps.Keys(c.Args)) {
		var made struct {
			Normal bool  `json:"normal_array"`
			Shape  []int `json:"shape"`
		}
		if err := unmarshalObject(c.Args[name], &made); err != nil {
			return args, fmt.Errorf("reading the argument %s: %w", name, err)
		}
		at := c.ID + "/in." + name
		listed, err := listArgument(name, at, stored)
		if err != nil {
			return args, err
		}
		maps.Copy(args.Tensors, listed)
		switch {
		case len(listed) > 0:
		case stored.Has(at):
			x, err := stored.Get(at)
			if err != nil {
				return args, err
			}
			args.Tensors[name] = x
		case made.Normal && tensor.Count(made.Shape) > 0:
			x, err := normalArgument(prefix, name, made.Shape, at, stored)
			if err != nil {
				return args, err
			}
			args.Tensors[name] = x
		default:
			args.Values[name] = c.Args[name]
		}
	}
	return args, nil
}

// listArgument reads an argument that is a list of tensors: item i is called "NAME.i".
func listArgument(name, at string, stored *golden.Tensors) (map[string]*tensor.Tensor, error) {
	out := map[string]*tensor.Tensor{}
	for i := 0; stored.Has(fmt.Sprint(at, ".", i)); i++ {
		x, err := stored.Get(fmt.Sprint(at, ".", i))
		if err != nil {
			return nil, err
		}
		out[fmt.Sprint(name, ".", i)] = x
	}
	return out, nil
}

// normalArgument makes a tensor whose recipe name the golden omits: it ends in the argument's name, in its first letter,
// or in x for the network's main input. If every K-th value is stored, that decides.
func normalArgument(prefix, name string, shape []int, at string, stored *golden.Tensors) (*tensor.Tensor, error) {
	want, err := stored.Find(at)
	if err != nil {
		suffix := "x"
		switch name { // the text encoding, beside the main input
		case "context", "clip_text":
			suffix = "c"
		}
		return golden.Normal(prefix+suffix, shape...), nil
	}
	for _, suffix := range []string{name, name[:1], "x"} {
		x := golden.Normal(prefix+suffix, shape...)
		if d, err := want.Difference(x.Data); err == nil && d.MaxAbs == 0 {
			return x, nil
		}
	}
	return nil, unavailable("the argument %s cannot be made from its recipe", name)
}

// recipePrefix returns the prefix of the recipes of a module's inputs: "mod/NAME/SET/". Goldens of one folder share the
// set.
func (r *run) recipePrefix(f *file) string {
	return "mod/" + path.Base(f.name) + "/" + r.set + "/"
}
