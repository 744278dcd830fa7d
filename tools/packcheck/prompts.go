package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// The names of the files that the tool uploads to both servers.
const (
	firstImage, secondImage = "packcheck-1.png", "packcheck-2.png"
	soundFile               = "packcheck.wav"
)

// variant is one way to choose what links carry.
type variant struct {
	any      string // the type that stands for "*"
	optional bool   // also link the optional inputs
	text     string // for texts without a default
}

var variants = []variant{{any: "IMAGE"}, {any: "INT", text: "1"}, {any: "STRING", optional: true, text: "a"}, {any: "MASK", optional: true, text: "1, 2, 3"}}

type node struct {
	Class  string         `json:"class_type"`
	Inputs map[string]any `json:"inputs"`
}

// planner makes prompts of classes of one server.
type planner struct {
	classes    map[string]*class
	producers  map[string][]*class // classes by the type of an output
	checkpoint string
}

func newPlanner(all map[string]*class, checkpoint string) *planner {
	p := &planner{classes: all, producers: map[string][]*class{}, checkpoint: checkpoint}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for _, t := range all[name].Output {
			if text, ok := t.(string); ok {
				p.producers[text] = append(p.producers[text], all[name])
			}
		}
	}
	return p
}

// errModel is the reason why a class is not tried: it needs a model and there is no checkpoint.
var errModel = errors.New("needs a model")

// plan is a prompt in the making.
type plan struct {
	*planner
	variant
	pack  string
	nodes map[string]node
	links map[string][2]any // by type
	model bool              // whether the checkpoint is used
	busy  map[string]bool
}

// prompt makes a prompt that runs a class and describes its outputs. main is the id of the class's node.
func (p *planner) prompt(c *class, v variant) (nodes map[string]node, main string, model bool, err error) {
	w := &plan{planner: p, variant: v, pack: c.pack(), nodes: map[string]node{}, links: map[string][2]any{}, busy: map[string]bool{}}
	main, err = w.add(c, 0, v.optional)
	if err != nil {
		return nil, "", false, err
	}
	for i, t := range c.Output {
		w.put("PackcheckDescribe", map[string]any{"value": [2]any{main, i}})
		if t == "IMAGE" {
			w.put("PreviewImage", map[string]any{"images": [2]any{main, i}})
		}
	}
	if len(c.Output) == 0 && !c.OutputNode {
		return nil, "", false, errors.New("has no outputs")
	}
	return w.nodes, main, w.model, nil
}

func (w *plan) put(class string, inputs map[string]any) string {
	id := strconv.Itoa(len(w.nodes) + 1)
	w.nodes[id] = node{class, inputs}
	return id
}

// deepest bounds chains of classes that make the inputs of others.
const deepest = 4

// add adds a node with all that its inputs take.
func (w *plan) add(c *class, depth int, optional bool) (string, error) {
	required, err := inputsOf(c.Input.Required)
	if err != nil {
		return "", err
	}
	more, err := inputsOf(c.Input.Optional)
	if err != nil {
		return "", err
	}
	values := map[string]any{}
	for _, in := range required {
		if err := w.fill(values, in, depth, true, true); err != nil {
			return "", err
		}
	}
	for _, in := range more {
		if err := w.fill(values, in, depth, false, optional); err != nil {
			return "", err
		}
	}
	return w.put(c.Name, values), nil
}

// fill sets one input; an optional one that cannot be made is left out.
func (w *plan) fill(values map[string]any, in input, depth int, required, link bool) error {
	v, ok, err := in.constant()
	if err != nil {
		if required {
			return err
		}
		return nil
	}
	if ok {
		if v == "" && w.text != "" && in.options["default"] == nil {
			v = w.text
		}
		values[in.name] = v
		return nil
	}
	switch in.typ {
	case "COMFY_DYNAMICCOMBO_V3":
		return w.dynamic(values, in, depth, required)
	case "COMFY_AUTOGROW_V3":
		return w.grow(values, in, depth)
	}
	if !link {
		return nil
	}
	made, err := w.link(in.typ, depth)
	if err != nil {
		if required {
			return fmt.Errorf("input %s: %w", in.name, err)
		}
		return nil
	}
	values[in.name] = made
	return nil
}

// dynamic chooses the first option of an input whose choice adds more inputs.
func (w *plan) dynamic(values map[string]any, in input, depth int, required bool) error {
	list, _ := in.options["options"].([]any)
	if len(list) == 0 {
		return fmt.Errorf("input %s has no choices", in.name)
	}
	first, _ := list[0].(map[string]any)
	values[in.name] = first["key"]
	inner, _ := first["inputs"].(map[string]any)
	group, _ := inner["required"].(map[string]any)
	for name, entry := range group {
		sub, err := described(in.name+"."+name, entry)
		if err != nil {
			return err
		}
		if err := w.fill(values, sub, depth, required, true); err != nil {
			return err
		}
	}
	return nil
}

// grow links the least number of inputs of a template, one at least.
func (w *plan) grow(values map[string]any, in input, depth int) error {
	t, _ := in.options["template"].(map[string]any)
	inner, _ := t["input"].(map[string]any)
	group, _ := inner["required"].(map[string]any)
	least, _ := t["min"].(float64)
	names, _ := t["names"].([]any)
	prefix, _ := t["prefix"].(string)
	for _, entry := range group {
		for i := range max(1, int(least)) {
			name := prefix + strconv.Itoa(i)
			if i < len(names) {
				name, _ = names[i].(string)
			}
			sub, err := described(in.name+"."+name, entry)
			if err != nil {
				return err
			}
			if err := w.fill(values, sub, depth, true, true); err != nil {
				return err
			}
		}
		return nil
	}
	return nil
}

func described(name string, entry any) (input, error) {
	list, _ := entry.([]any)
	if len(list) == 0 {
		return input{}, fmt.Errorf("input %s has a form that is not known", name)
	}
	in := input{name: name, options: map[string]any{}}
	if len(list) > 1 {
		if o, ok := list[1].(map[string]any); ok {
			in.options = o
		}
	}
	if choices, ok := list[0].([]any); ok {
		in.typ, in.choices = "COMBO", choices
	} else {
		in.typ = fmt.Sprint(list[0])
		in.choices, _ = in.options["options"].([]any)
	}
	return in, nil
}

// link makes a value of a type and returns the link to it.
func (w *plan) link(typ string, depth int) ([2]any, error) {
	if l, ok := w.links[typ]; ok {
		return l, nil
	}
	l, err := w.make(typ, depth)
	if err == nil {
		w.links[typ] = l
	}
	return l, err
}

func (w *plan) make(typ string, depth int) ([2]any, error) {
	if typ == "*" || typ == "COMFY_MATCHTYPE_V3" {
		return w.link(w.any, depth)
	}
	if strings.Contains(typ, ",") {
		err := error(nil)
		for _, t := range strings.Split(typ, ",") {
			var l [2]any
			if l, err = w.link(strings.TrimSpace(t), depth); err == nil {
				return l, nil
			}
		}
		return [2]any{}, err
	}
	if l, ok, err := w.known(typ, depth); ok || err != nil {
		return l, err
	}
	if depth >= deepest || w.busy[typ] {
		return [2]any{}, fmt.Errorf("nothing makes a value of type %s", typ)
	}
	w.busy[typ] = true
	defer delete(w.busy, typ)
	makers := slices.Clone(w.producers[typ])
	// A class of the same pack first, then those that take least; what can be made of nothing may be empty.
	slices.SortStableFunc(makers, func(a, b *class) int {
		if near, other := a.pack() == w.pack, b.pack() == w.pack; near != other {
			if near {
				return -1
			}
			return 1
		}
		return required(a) - required(b)
	})
	why := fmt.Errorf("nothing makes a value of type %s", typ)
	for _, c := range makers {
		before, model := len(w.nodes), w.model
		links := maps.Clone(w.links)
		id, err := w.add(c, depth+1, false)
		if err == nil {
			return [2]any{id, slices.Index(c.Output, any(typ))}, nil
		}
		for id := range w.nodes {
			if n, _ := strconv.Atoi(id); n > before {
				delete(w.nodes, id)
			}
		}
		w.links, w.model = links, model
		if errors.Is(err, errModel) {
			why = errModel
		}
	}
	return [2]any{}, why
}

func required(c *class) int {
	if len(c.Input.Required) == 0 {
		return 1000
	}
	return len(c.Input.Required)
}

// known makes a value of a type that ComfyUI's own classes make.
func (w *plan) known(typ string, depth int) (l [2]any, ok bool, err error) {
	put := func(class string, inputs map[string]any, slot int) ([2]any, bool, error) {
		return [2]any{w.put(class, inputs), slot}, true, nil
	}
	switch typ {
	case "IMAGE":
		first := w.put("LoadImage", map[string]any{"image": firstImage})
		second := w.put("LoadImage", map[string]any{"image": secondImage})
		return put("ImageBatch", map[string]any{"image1": [2]any{first, 0}, "image2": [2]any{second, 0}}, 0)
	case "MASK":
		return put("LoadImageMask", map[string]any{"image": firstImage, "channel": "red"}, 0)
	case "LATENT":
		return put("EmptyLatentImage", map[string]any{"width": 96, "height": 64, "batch_size": 2}, 0)
	case "AUDIO":
		return put("LoadAudio", map[string]any{"audio": soundFile}, 0)
	case "VIDEO":
		image, err := w.link("IMAGE", depth)
		if err != nil {
			return l, false, err
		}
		return put("CreateVideo", map[string]any{"images": image, "fps": 8}, 0)
	case "SIGMAS":
		return put("KarrasScheduler", map[string]any{"steps": 4, "sigma_max": 14.6, "sigma_min": 0.03, "rho": 7}, 0)
	case "SAMPLER":
		return put("KSamplerSelect", map[string]any{"sampler_name": "euler"}, 0)
	case "NOISE":
		return put("RandomNoise", map[string]any{"noise_seed": 7}, 0)
	case "INT":
		return put("PrimitiveInt", map[string]any{"value": 3}, 0)
	case "FLOAT":
		return put("PrimitiveFloat", map[string]any{"value": 0.5}, 0)
	case "STRING":
		return put("PrimitiveString", map[string]any{"value": "a text"}, 0)
	case "BOOLEAN":
		return put("PrimitiveBoolean", map[string]any{"value": true}, 0)
	case "MODEL", "CLIP", "VAE", "CONDITIONING":
		if w.checkpoint == "" {
			return l, false, errModel
		}
		w.model = true
		loader, ok := w.links["checkpoint"]
		if !ok {
			loader = [2]any{w.put("CheckpointLoaderSimple", map[string]any{"ckpt_name": w.checkpoint}), 0}
			w.links["checkpoint"] = loader
		}
		if typ == "CONDITIONING" {
			return put("CLIPTextEncode", map[string]any{"text": "a house", "clip": [2]any{loader[0], 1}}, 0)
		}
		return [2]any{loader[0], slices.Index([]string{"MODEL", "CLIP", "VAE"}, typ)}, true, nil
	}
	return l, false, nil
}
