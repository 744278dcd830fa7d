package engine

import (
	"context"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
)

// Module is a network that is run by itself, on a config that is stated: for checks against upstream's modules.
type Module struct {
	rt   *Runtime
	file *file
	net  family.Module
}

// LoadModule opens the network of an upstream class in the file at path. config is a JSON object of the class's settings.
// The error is a *family.UnknownError when no family runs the class.
func (rt *Runtime) LoadModule(path, class string, config []byte) (*Module, error) {
	f, err := rt.files.Get(path)
	if err != nil {
		return nil, err
	}
	for _, fam := range rt.cfg.Families.Modular() {
		net, err := fam.Module(class, config, f.Parts.Source())
		if err != nil {
			return nil, fmt.Errorf("loading the module (%s) in %s: %w", fam.Name(), path, err)
		}
		if net != nil {
			return &Module{rt: rt, file: f, net: net}, nil
		}
	}
	return nil, &family.UnknownError{Path: path, Role: "module", Family: class}
}

// Call runs the network; see family.Module.
func (m *Module) Call(ctx context.Context, args family.Arguments) ([]*tensor.Tensor, error) {
	return m.net.Call(ctx, m.rt.runner(m.net.Role(), false, m.file), args)
}
