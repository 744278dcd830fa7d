package nodes

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"comfygo/internal/pyjson"
)

// readTemplate reads the tags of an autogrow input.
func readTemplate(tag map[string]string, v3 bool) (*template, error) {
	t := &template{prefix: tag["prefix"], least: 1}
	item := &Input{Name: tag["autogrow"], Type: tag["item"], options: pyjson.NewObject()}
	if item.Name == "" || item.Type == "" {
		return nil, fmt.Errorf("an autogrow input needs the tags autogrow and item")
	}
	if text := tag["itemopts"]; text != "" {
		o, err := pyjson.UnmarshalObject([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("tag itemopts: %w", err)
		}
		item.options = o
	}
	if id := tag["match"]; id != "" {
		allow := tag["allowed"]
		if allow == "" {
			allow = typeAny
		}
		item.options.Set("template", pyjson.NewObject("template_id", id, "allowed_types", allow))
	}
	if err := item.finish(v3); err != nil {
		return nil, err
	}
	t.item = item
	var err error
	if least, ok := tag["least"]; ok {
		if t.least, err = strconv.Atoi(least); err != nil {
			return nil, fmt.Errorf("tag least: %w", err)
		}
	}
	if t.prefix == "" {
		t.names = strings.Split(tag["names"], "|")
		t.most = len(t.names)
		return t, nil
	}
	t.most = 10
	if most, ok := tag["most"]; ok {
		if t.most, err = strconv.Atoi(most); err != nil {
			return nil, fmt.Errorf("tag most: %w", err)
		}
	}
	return t, nil
}

// readChoice reads the structs of a dynamic combo's options.
func readChoice(name string, owner any, v3 bool) ([]option, error) {
	d, ok := owner.(Dynamic)
	if !ok {
		return nil, fmt.Errorf("a Choice field needs the method DynamicOptions")
	}
	out := []option{}
	for _, o := range d.DynamicOptions(name) {
		opt := option{key: o.Key}
		if o.Inputs != nil {
			typ := reflect.TypeOf(o.Inputs)
			if typ.Kind() != reflect.Pointer || typ.Elem().Kind() != reflect.Struct {
				return nil, fmt.Errorf("option %s: inputs are no pointer to a struct", o.Key)
			}
			var err error
			if opt.fields, err = readFields(typ.Elem(), o.Inputs, v3); err != nil {
				return nil, fmt.Errorf("option %s: %w", o.Key, err)
			}
		}
		out = append(out, opt)
	}
	return out, nil
}

// info is the template as /object_info shows it.
func (t *template) info(env Env) *pyjson.Object {
	typ, options := t.item.Config(env)
	o := pyjson.NewObject("input", pyjson.NewObject("required", pyjson.NewObject(t.item.Name, []any{typ, options})))
	if t.prefix != "" {
		o.Set("prefix", t.prefix).Set("min", int64(t.least)).Set("max", int64(t.most))
		return o
	}
	names := []any{}
	for _, n := range t.names {
		names = append(names, n)
	}
	return o.Set("names", names).Set("min", int64(t.least))
}

func optionInfo(env Env, options []option) []any {
	out := []any{}
	for _, o := range options {
		inputs := pyjson.NewObject("required", pyjson.NewObject())
		if o.fields != nil {
			inputs = o.fields.info(env, true)
		}
		out = append(out, pyjson.NewObject("key", o.key, "inputs", inputs))
	}
	return out
}
