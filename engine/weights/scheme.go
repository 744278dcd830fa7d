package weights

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"comfygo/engine/dtype"
	"comfygo/engine/safetensors/filemap"
)

// Scheme is a quantization scheme: how the bytes of an entry encode its elements, unless each element is stored by itself.
type Scheme struct {
	// Format is the scheme's name, as files spell it: "float8_e4m3fn", "float8_e5m2" (both with a scale), "nvfp4", "mxfp8",
	// "int8_tensorwise", "convrot_w4a4", "asym_w4a8_int8", or the type of a GGUF file, such as "GGUF Q4_K".
	Format string
	// Options are the parameters that the file gives for the layer, such as "full_precision_matrix_mult" and "group_size".
	Options map[string]any
	// Companions are the further tensors that belong to the entry, by the rest of their name: "weight_scale",
	// "weight_scale_2", "input_scale" and so on.
	Companions map[string]Entry
	// Stored is the element type that the file states for the bytes.
	Stored dtype.DType
	// Cols is the number of elements of a stored row. First is the row of the stored matrix at which the entry's data begins.
	Cols, First int
}

// Option returns a parameter of the layer, which files put at the top level or under "params", or nil.
func (s *Scheme) Option(name string) any {
	if v, ok := s.Options[name]; ok {
		return v
	}
	params, _ := s.Options["params"].(map[string]any)
	return params[name]
}

// SchemeError reports that a tensor is stored in a scheme that cannot be computed with.
type SchemeError struct {
	File, Tensor, Format string
}

// Error names file, tensor and scheme, and says what can be used instead.
func (e *SchemeError) Error() string {
	return fmt.Sprintf("tensor %q of %s is quantized as %s, which cannot be computed with yet: %s", e.Tensor, e.File, e.Format, plainAdvice)
}

// plainAdvice is what fits.
const plainAdvice = "use a file of the model in F32, F16, BF16, 8-bit floats, int8_tensorwise, convrot_w4a4, asym_w4a8_int8, nvfp4, mxfp8 or GGUF"

// packed are the formats that put two elements into each byte of the last axis.
var packed = map[string]bool{"nvfp4": true, "convrot_w4a4": true, "asym_w4a8_int8": true}

// companions are the tensors that belong to a quantized weight, by the suffixes of their names: the spelling of old files is
// translated.
var companions = map[string]string{
	"weight_scale": "weight_scale", "weight_scale_2": "weight_scale_2", "input_scale": "input_scale", "pre_quant_scale": "pre_quant_scale",
	"weight_s_rel": "weight_s_rel", "weight_s_channel": "weight_s_channel", "weight_codebook": "weight_codebook",
	"scale_weight": "weight_scale", "scale_input": "input_scale",
}

// maxSchemeText bounds the JSON that a file gives for one layer.
const maxSchemeText = 1 << 16

// quantized returns src with the schemes of its quantized weights, which ComfyUI's files state in one of three ways: a JSON
// text in a tensor LAYER.comfy_quant, all of them in the metadata "_quantization_metadata", or a tensor "scaled_fp8" that
// says that weights with a scale are F8_E4M3. src itself is returned when it has none. (Upstream: comfy/utils.py
// convert_old_quants, comfy/ops.py.)
func quantized(src Source) (Source, error) {
	s := &quantizedSource{Source: src, schemes: map[string]*Scheme{}}
	var markers []string
	for _, n := range src.Names() {
		if layer, ok := strings.CutSuffix(n, ".comfy_quant"); ok {
			text, err := schemeText(src, n)
			if err != nil {
				return nil, fmt.Errorf("reading %s: tensor %q: %w", src.Path(), n, err)
			}
			if err := s.add(layer, text); err != nil {
				return nil, fmt.Errorf("reading %s: tensor %q: %w", src.Path(), n, err)
			}
		}
		if prefix, ok := strings.CutSuffix(n, "scaled_fp8"); ok {
			markers = append(markers, prefix)
		}
	}
	if text, ok := src.Metadata()["_quantization_metadata"]; ok {
		if err := s.metadata(text); err != nil {
			return nil, fmt.Errorf("reading %s: metadata _quantization_metadata: %w", src.Path(), err)
		}
	} else if len(markers) > 0 {
		s.marked(markers)
	}
	if len(s.schemes) == 0 {
		return src, nil
	}
	for _, n := range src.Names() {
		layer, end := n[:strings.LastIndexByte(n, '.')+1], n[strings.LastIndexByte(n, '.')+1:]
		scheme := s.schemes[layer+"weight"]
		if role, ok := companions[end]; ok && scheme != nil {
			if e, ok := src.Lookup(n); ok {
				scheme.Companions[role] = e
			}
		}
	}
	return s, nil
}

// schemeText reads the JSON that a tensor of bytes holds.
func schemeText(src Source, name string) ([]byte, error) {
	e, ok := src.Lookup(name)
	if !ok || e.DType != dtype.U8 && e.DType != dtype.I8 || len(e.Data) > maxSchemeText {
		return nil, fmt.Errorf("%v, wanted a text of at most %d bytes", e, maxSchemeText)
	}
	var text []byte
	err := filemap.Guard(func() error { text = slices.Clone(e.Data); return nil })
	return text, err
}

type quantizedSource struct {
	Source
	schemes map[string]*Scheme // by name of the weight
}

// add notes the scheme of a layer.
func (s *quantizedSource) add(layer string, text []byte) error {
	var options map[string]any
	if err := json.Unmarshal(text, &options); err != nil {
		return fmt.Errorf("the description of the quantization is no JSON object: %w", err)
	}
	format, _ := options["format"].(string)
	if format == "" {
		return fmt.Errorf("the description of the quantization has no format")
	}
	delete(options, "format")
	s.schemes[layer+".weight"] = &Scheme{Format: format, Options: options, Companions: map[string]Entry{}}
	return nil
}

func (s *quantizedSource) metadata(text string) error {
	var all struct {
		Layers map[string]json.RawMessage `json:"layers"`
	}
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return err
	}
	for layer, t := range all.Layers {
		if err := s.add(layer, t); err != nil {
			return fmt.Errorf("layer %s: %w", layer, err)
		}
	}
	return nil
}

// marked notes the scheme of old files: every layer below one of the prefixes that has a scale is F8_E4M3, whatever type
// the marker has. A marker of two elements asks for products in full precision.
func (s *quantizedSource) marked(prefixes []string) {
	for _, p := range prefixes {
		options := map[string]any{}
		if e, ok := s.Source.Lookup(p + "scaled_fp8"); ok && e.Count() == 2 {
			options["full_precision_matrix_mult"] = true
		}
		for _, n := range s.Source.Names() {
			if layer, ok := strings.CutSuffix(n, ".scale_weight"); ok && strings.HasPrefix(n, p) {
				s.schemes[layer+".weight"] = &Scheme{Format: "float8_e4m3fn", Options: options, Companions: map[string]Entry{}}
			}
		}
	}
}

// Lookup implements Source. Quantized entries have the shape of their elements, also where two of these share a byte, and
// their type.
func (s *quantizedSource) Lookup(name string) (Entry, bool) {
	e, ok := s.Source.Lookup(name)
	scheme := s.schemes[name]
	if !ok || scheme == nil {
		return e, ok
	}
	if n := len(e.Shape); n > 0 && packed[scheme.Format] {
		e.Shape = slices.Clone(e.Shape)
		e.Shape[n-1] *= 2
	}
	return e.inScheme(*scheme), true
}

// inScheme returns the entry, with the shape of its elements, in a quantization scheme.
func (e Entry) inScheme(s Scheme) Entry {
	s.Stored, s.Cols = e.DType, 1
	if n := len(e.Shape); n > 0 {
		s.Cols = e.Shape[n-1]
	}
	e.DType, e.Scheme = dtype.F32, &s
	return e
}
