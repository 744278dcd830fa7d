package python

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"os"
	"reflect"
	"slices"
	"sync/atomic"

	"comfygo/engine"
	"comfygo/engine/media"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/pyhost"
	"comfygo/internal/pyjson"
	"comfygo/internal/video"
	"comfygo/nodes"
)

// mark is the key that distinguishes an object of a message from a dictionary.
const mark = "$"

var tensorFiles atomic.Uint64

// shared is the folder for tensors, as a session has it.
type shared interface {
	Create(name string) (*os.File, error)
	Open(path string) (*os.File, error)
}

// encoder writes the values of one call. remove deletes the shared files that it has written unless Python took them.
type encoder struct {
	session *pyhost.Session
	shared  shared
	ctx     *nodes.Context
	files   []string
	depth   int
}

// deepest bounds nested values, and the nodes that are made again one for the other.
const deepest = 64

// remove takes away the shared files that Python did not open.
func (e *encoder) remove() {
	for _, f := range e.files {
		_ = os.Remove(f) // gone is what it should be
	}
}

// inputs writes a call's inputs. Values that exist in this program only are replaced by the nodes that made them.
func (e *encoder) inputs(values *pyjson.Object) (*pyjson.Object, error) {
	out := pyjson.NewObject()
	for name, v := range values.All() {
		form, err := e.value(v)
		var local *nativeOnly
		if errors.As(err, &local) {
			form, err = e.replayInput(e.ctx.ID, name, local)
		}
		if err != nil {
			return nil, fmt.Errorf("input %s: %w", name, err)
		}
		out.Set(name, form)
	}
	return out, nil
}

// nativeOnly is a value that Python can only get by making it again.
type nativeOnly struct{ v any }

func (n *nativeOnly) Error() string {
	return fmt.Sprintf("a value of comfygo's own (%s) cannot be given to Python", reflect.TypeOf(n.v))
}

func (e *encoder) value(v any) (any, error) {
	if e.depth++; e.depth > deepest {
		return nil, errors.New("a value is nested too deeply for Python")
	}
	defer func() { e.depth-- }()
	switch v := v.(type) {
	case nil, bool, string, int64, float64, *big.Int, int, float32:
		return v, nil
	case *Handle:
		if v.session != e.session {
			return e.moved(v)
		}
		return pyjson.NewObject(mark, "handle", "id", v.id), nil
	case *tensor.View:
		return e.tensor(v.Dense())
	case *tensor.Tensor:
		return e.tensor(v)
	case []float32: // sigmas
		return e.tensor(&tensor.Tensor{Shape: []int{len(v)}, Data: v})
	case engine.Latent:
		return e.latent(v)
	case engine.Conditioning:
		return e.conditioning(v)
	case sampling.Area:
		return e.marked("tuple", v.Listed())
	case *media.Audio:
		if v == nil {
			return nil, nil
		}
		wave, err := e.value(v.Waveform)
		return pyjson.NewObject("waveform", wave, "sample_rate", int64(v.SampleRate)), err
	case *video.File:
		if v.Start == 0 && v.Length == 0 {
			return pyjson.NewObject(mark, "video", "file", v.Path), nil
		}
	case pyjson.Tuple:
		return e.marked("tuple", v)
	case pyjson.Frozen:
		return e.marked("frozenset", v)
	case pyjson.Array:
		t, err := e.value(v.Tensor)
		return pyjson.NewObject(mark, "array", "tensor", t), err
	case pyjson.Instance:
		attributes, err := e.object(v.Attributes)
		return pyjson.NewObject(mark, "instance", "class", v.Class, "attributes", attributes), err
	case []any:
		return e.list(v)
	case nodes.List:
		return e.list(v)
	case *pyjson.Object:
		return e.object(v)
	case map[string]any:
		return e.plainMap(v)
	case *nodes.Blocker:
		var message any
		if v.Message != nil {
			message = *v.Message
		}
		return pyjson.NewObject(mark, "blocker", "message", message), nil
	}
	if o, ok := v.(nodes.Object); ok && !reflect.ValueOf(v).IsNil() {
		instance, err := o.Object()
		if err != nil {
			return nil, err
		}
		return e.value(instance)
	}
	if p, ok := v.(nodes.Plain); ok {
		return e.value(p.Plain())
	}
	return e.reflected(v)
}

// marked writes a sequence that is no list in Python.
func (e *encoder) marked(kind string, v []any) (any, error) {
	items, err := e.list(v)
	return pyjson.NewObject(mark, kind, "items", items), err
}

// moved writes a value that another process of a pack holds.
func (e *encoder) moved(h *Handle) (any, error) {
	if !h.Live() {
		return nil, fmt.Errorf("a value of type %s is gone: %w", h.Type, pyhost.ErrGone)
	}
	local, err := h.Native(e.ctx)
	if errors.Is(err, nodes.ErrForeignOnly) {
		return nil, fmt.Errorf("%w: packs that give each other such values cannot run with --isolate-packs", err)
	}
	if err != nil {
		return nil, err
	}
	return e.value(local)
}

// reflected writes numbers, texts and lists of other Go types.
func (e *encoder) reflected(v any) (any, error) {
	rv := reflect.ValueOf(v)
	switch rv.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return rv.Int(), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return new(big.Int).SetUint64(rv.Uint()), nil
	case reflect.Float32, reflect.Float64:
		return rv.Float(), nil
	case reflect.String:
		return rv.String(), nil
	case reflect.Bool:
		return rv.Bool(), nil
	case reflect.Slice:
		list := make([]any, rv.Len())
		for i := range list {
			list[i] = rv.Index(i).Interface()
		}
		return e.list(list)
	}
	return nil, &nativeOnly{v}
}

func (e *encoder) list(v []any) (any, error) {
	out := make([]any, len(v))
	for i, x := range v {
		var err error
		if out[i], err = e.value(x); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (e *encoder) object(v *pyjson.Object) (any, error) {
	out := pyjson.NewObject()
	for k, x := range v.All() {
		form, err := e.value(x)
		if err != nil {
			return nil, err
		}
		out.Set(k, form)
	}
	if !out.Has(mark) {
		return out, nil
	}
	items := []any{}
	for k, x := range out.All() {
		items = append(items, []any{k, x})
	}
	return pyjson.NewObject(mark, "dict", "items", items), nil
}

func (e *encoder) plainMap(v map[string]any) (any, error) {
	o := pyjson.NewObject()
	for _, k := range slices.Sorted(maps.Keys(v)) {
		o.Set(k, v[k])
	}
	return e.object(o)
}

// tensor writes a tensor to a shared file that Python maps, without another copy.
func (e *encoder) tensor(t *tensor.Tensor) (any, error) {
	if t == nil {
		return nil, nil
	}
	f, err := e.shared.Create(fmt.Sprintf("comfygo-%d", tensorFiles.Add(1)))
	if err != nil {
		return nil, fmt.Errorf("giving Python a tensor of %d bytes: %w", 4*len(t.Data), err)
	}
	path := f.Name()
	e.files = append(e.files, path)
	_, err = f.Write(bytesOf(t.Data))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("giving Python a tensor of %d bytes: %w", 4*len(t.Data), err)
	}
	shape := make([]any, len(t.Shape))
	for i, d := range t.Shape {
		shape[i] = int64(d)
	}
	form := pyjson.NewObject(mark, "tensor", "file", path, "shape", shape)
	if t.Type != "" {
		form.Set("dtype", t.Type)
	}
	return form, nil
}

func (e *encoder) latent(l engine.Latent) (any, error) {
	if len(l.Along) > 0 || l.Sparse != nil {
		return nil, &nativeOnly{l}
	}
	o := pyjson.NewObject("samples", l.Samples)
	if l.NoiseMask != nil {
		o.Set("noise_mask", l.NoiseMask)
	}
	if l.BatchIndex != nil {
		o.Set("batch_index", l.BatchIndex)
	}
	if l.DownscaleRatio > 0 {
		o.Set("downscale_ratio_spacial", int64(l.DownscaleRatio))
	}
	if l.TemporalRatio > 0 {
		o.Set("downscale_ratio_temporal", int64(l.TemporalRatio))
	}
	if l.Type != "" {
		o.Set("type", l.Type)
	}
	return e.object(o)
}

func (e *encoder) conditioning(c engine.Conditioning) (any, error) {
	out := make([]any, len(c))
	for i, entry := range c {
		values := maps.Clone(entry.Values)
		if values == nil {
			values = map[string]any{}
		}
		if entry.Pooled != nil {
			values["pooled_output"] = entry.Pooled
		}
		tokens, err := e.value(entry.Tokens)
		if err != nil {
			return nil, err
		}
		dict, err := e.plainMap(values)
		if err != nil {
			return nil, err
		}
		out[i] = []any{tokens, dict}
	}
	return out, nil
}

// replayInput describes the node that made an input, for Python to make the value again.
func (e *encoder) replayInput(id, input string, cause *nativeOnly) (any, error) {
	graph := e.ctx.DynPrompt()
	if graph == nil {
		return nil, cause
	}
	node := graph.Node(id)
	if node == nil {
		return nil, cause
	}
	v, _ := node.Object("inputs").Get(input)
	link, ok := nodes.AsLink(v)
	if !ok {
		return nil, cause
	}
	return e.replay(graph, link)
}

// replay describes a node with its inputs: constants, values that Python can take, and again nodes.
func (e *encoder) replay(graph nodes.DynPrompt, link nodes.Link) (any, error) {
	if e.depth++; e.depth > deepest {
		return nil, errors.New("the nodes that made a model are too many to be run again in Python")
	}
	defer func() { e.depth-- }()
	node := graph.Node(link.ID)
	if node == nil {
		return nil, fmt.Errorf("making the value of node %s again in Python: the node is not in the graph", link.ID)
	}
	inputs := pyjson.NewObject()
	for name, v := range node.Object("inputs").All() {
		form, err := e.replayed(graph, v)
		if err != nil {
			return nil, err
		}
		inputs.Set(name, form)
	}
	form := pyjson.NewObject(mark, "replay", "class", node.String("class_type"), "inputs", inputs, "node", link.ID, "prompt", e.ctx.PromptID)
	text, err := pyjson.Marshal(pyjson.NewObject("class", node.String("class_type"), "inputs", inputs))
	if err != nil {
		return nil, fmt.Errorf("making the value of node %s again in Python: %w", link.ID, err)
	}
	sum := sha256.Sum256(text)
	return form.Set("key", hex.EncodeToString(sum[:16])).Set("slot", int64(link.Slot)), nil
}

// replayed writes an input of a node that is run again.
func (e *encoder) replayed(graph nodes.DynPrompt, v any) (any, error) {
	link, ok := nodes.AsLink(v)
	if !ok {
		return e.value(v)
	}
	list, ok := e.ctx.Values(link)
	if ok && len(list) == 1 {
		form, err := e.value(list[0])
		var local *nativeOnly
		if !errors.As(err, &local) {
			return form, err
		}
	}
	return e.replay(graph, link)
}

func readFull(r io.Reader, b []byte) (int, error) { return io.ReadFull(r, b) }
