package splat

import (
	"errors"
	"fmt"
	"io"

	"comfygo/internal/geometry"
	"comfygo/internal/geometry/splat"
	"comfygo/nodes"
)

const module = "comfy_extras.nodes_gaussian_splat"

func init() {
	nodes.Register(&SplatToFile3D{})
	nodes.Register(&File3DToSplat{})
}

// check refuses invalid splats.
func check(input string, s *geometry.Splats) error {
	if err := s.Check(); err != nil {
		return nodes.Errorf("ValueError", "reading the input %s: %w", input, err)
	}
	return nil
}

// checkFinite refuses splats that nothing can be computed with.
func checkFinite(input string, s *geometry.Splats) error {
	if err := check(input, s); err != nil {
		return err
	}
	for i := range s.Items {
		if err := s.Items[i].CheckFinite(); err != nil {
			return nodes.Errorf("ValueError", "reading the input %s: item %d: %w", input, i, err)
		}
	}
	return nil
}

// failed adds the failed operation to an error. An error with a type of its own, such as one about memory,
// keeps it.
func failed(what string, err error) error {
	var typed interface{ ExceptionType() string }
	switch {
	case errors.As(err, &typed):
		return fmt.Errorf("%s: %w", what, err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nodes.Errorf("EOFError", "%s: %w", what, err)
	}
	return nodes.Errorf("ValueError", "%s: %w", what, err)
}

// reserve takes memory from the budget for the call.
func reserve(ctx *nodes.Context, what string) splat.Reserve {
	return func(bytes int64) error { return ctx.Reserve(what, bytes) }
}

// SplatToFile3D makes a file of splats in memory.
type SplatToFile3D struct {
	Splat  *geometry.Splats `in:"splat" type:"SPLAT"`
	Format string           `in:"format" options:"ply|ksplat|spz" tooltip:"ply keeps all spherical harmonics; ksplat (uncompressed) and spz (compressed, a tenth of the size) keep the base color."`
}

// Spec implements nodes.Node.
func (*SplatToFile3D) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SplatToFile3D", DisplayName: "Create 3D File (from Splat)", Category: "3d/splat",
		Module: module, V3: true,
		Outputs:       []nodes.Output{{Type: "FILE_3D_SPLAT_ANY", Name: "model_3d"}},
		Description:   "Writes Gaussian splats as a file that stays in memory. Of a batch the first item is used.",
		SearchAliases: []string{"gaussian to ply", "splat to file", "export gaussian"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *SplatToFile3D) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := check("splat", n.Splat); err != nil {
		return nodes.Result{}, err
	}
	if len(n.Splat.Items) > 1 {
		ctx.Warn(fmt.Sprintf("a file holds the splats of one item: the first of %d was used", len(n.Splat.Items)))
	}
	it := &n.Splat.Items[0]
	if err := ctx.Reserve("a file of splats", geometry.SplatBytes(int64(it.Count()), int64(it.K)+1)); err != nil {
		return nodes.Result{}, err
	}
	data, err := splat.Write(ctx, it, n.Format)
	if err != nil {
		return nodes.Result{}, failed("writing a 3D file", err)
	}
	return nodes.Out(geometry.Memory(data, n.Format)), nil
}

// File3DToSplat reads splats from a file.
type File3DToSplat struct {
	Model3D *geometry.File `in:"model_3d" type:"FILE_3D,FILE_3D_SPLAT_ANY,FILE_3D_PLY,FILE_3D_SPLAT,FILE_3D_KSPLAT,FILE_3D_SPZ" tooltip:"File of Gaussian splats."`
}

// Spec implements nodes.Node.
func (*File3DToSplat) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "File3DToSplat", DisplayName: "Get Splat", Category: "3d/splat",
		Module: module, V3: true,
		Outputs:       []nodes.Output{{Type: "SPLAT", Name: "splat"}},
		Description:   "Reads Gaussian splats from a PLY, SPLAT, KSPLAT or SPZ file. Only PLY carries spherical harmonics beyond the base color.",
		SearchAliases: []string{"load splat", "ply to splat", "import splat", "file to splat"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *File3DToSplat) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Model3D == nil {
		return nodes.Result{}, nodes.Errorf("ValueError", "reading the input model_3d: there is no 3D file; choose a model in the node that loads it")
	}
	size, err := n.Model3D.Size()
	if err != nil {
		return nodes.Result{}, nodes.Errorf("OSError", "%w", err)
	}
	if n.Model3D.Path() != "" && size <= splat.MaxFile {
		if err := ctx.Reserve("a file of splats", size); err != nil {
			return nodes.Result{}, err
		}
	}
	data, err := n.Model3D.Bytes(splat.MaxFile)
	if err != nil {
		return nodes.Result{}, nodes.Errorf("OSError", "%w", err)
	}
	it, err := splat.Read(ctx, data, n.Model3D.Format(), reserve(ctx, "splats of a file"))
	if err != nil {
		return nodes.Result{}, failed("reading the 3D file", err)
	}
	return nodes.Out(&geometry.Splats{Items: []geometry.SplatItem{it}}), nil
}
