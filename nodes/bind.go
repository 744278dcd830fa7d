package nodes

import (
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"

	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
)

// Bind makes a node of the class and sets its fields to a call's values by input key. Missing inputs get their default; a nil value (None, or a link
// without a value yet) leaves the field zero. For InputIsList classes every value is a []any. hidden holds the values of hidden inputs and may be
// nil.
func (c *Class) Bind(values *pyjson.Object, hidden func(kind string) any) (Node, error) {
	if c.foreign != nil {
		return c.foreign.Make(), nil // it takes its inputs from the context
	}
	v := reflect.New(c.typ)
	if err := c.fields.bind(v.Elem(), "", values, hidden, c.InputIsList); err != nil {
		return nil, fmt.Errorf("setting inputs of %s: %w", c.Name, err)
	}
	return v.Interface().(Node), nil
}

func (f *fieldSet) bind(dst reflect.Value, prefix string, values *pyjson.Object, hidden func(string) any, lists bool) error {
	for _, in := range f.inputs {
		field := dst.FieldByIndex(in.path)
		if field.Kind() == reflect.Array {
			field = field.Index(in.element)
		}
		if in.Hidden != "" {
			if hidden == nil {
				continue
			}
			if err := assign(field, hidden(in.Hidden)); err != nil {
				return fmt.Errorf("%s: %w", in.Name, err)
			}
			continue
		}
		if err := in.bind(field, join(prefix, in.Name), values, lists); err != nil {
			return err
		}
	}
	return nil
}

func (in *Input) bind(field reflect.Value, key string, values *pyjson.Object, lists bool) error {
	switch {
	case in.grow != nil:
		field.Set(reflect.ValueOf(in.grow.collect(key, values)))
		return nil
	case in.choice != nil:
		return in.bindChoice(field, key, values, lists)
	}
	v, there := values.Get(key)
	if !there {
		if in.Default == nil || field.Kind() == reflect.Pointer && field.Type() != reflect.TypeFor[*big.Int]() {
			return nil
		}
		v = in.Default
		if lists {
			v = []any{v}
		}
	}
	if err := assign(field, v); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

func (t *template) collect(key string, values *pyjson.Object) Grown {
	var g Grown
	for _, name := range t.itemNames() {
		if v, ok := values.Get(key + "." + name); ok {
			g.Names, g.Values = append(g.Names, name), append(g.Values, laidOut(v))
		}
	}
	return g
}

func (in *Input) bindChoice(field reflect.Value, key string, values *pyjson.Object, lists bool) error {
	chosen, _ := values.Get(key)
	if l, ok := chosen.([]any); ok && lists && len(l) > 0 {
		chosen = l[0]
	}
	c := Choice{}
	c.Key, _ = chosen.(string)
	for _, o := range in.choice {
		if o.key != chosen || o.fields == nil {
			continue
		}
		inputs := reflect.New(o.fields.typ)
		if err := o.fields.bind(inputs.Elem(), key, values, nil, lists); err != nil {
			return err
		}
		c.Inputs = inputs.Interface()
	}
	field.Set(reflect.ValueOf(c))
	return nil
}

// assign converts a value to a field's type and sets it.
func assign(field reflect.Value, v any) error {
	if v == nil {
		field.SetZero()
		return nil
	}
	switch field.Type() {
	case reflect.TypeFor[*tensor.View]():
		if t, ok := v.(*tensor.Tensor); ok {
			v = tensor.ViewOf(t)
		}
	case reflect.TypeFor[[]*tensor.View]():
	default:
		v = laidOut(v)
	}
	rv := reflect.ValueOf(v)
	if rv.Type().AssignableTo(field.Type()) {
		field.Set(rv)
		return nil
	}
	switch field.Kind() {
	case reflect.Pointer:
		return assignPointer(field, v)
	case reflect.Slice:
		if l, ok := v.([]any); ok {
			return assignList(field, l)
		}
		// Sigmas of a class in Python.
		if t, ok := v.(*tensor.Tensor); ok && t != nil && len(t.Shape) == 1 && field.Type() == reflect.TypeFor[[]float32]() {
			field.Set(reflect.ValueOf(t.Data))
			return nil
		}
	case reflect.String:
		if s, ok := v.(string); ok {
			field.SetString(s)
			return nil
		}
	case reflect.Bool:
		return assignBool(field, v)
	case reflect.Float32, reflect.Float64:
		return assignFloat(field, v)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return assignInt(field, v)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return assignUint(field, v)
	}
	return mismatch(field, v)
}

// laidOut returns v with a tensor in place of each view, also of those in lists, which are not changed themselves.
func laidOut(v any) any {
	switch v := v.(type) {
	case *tensor.View:
		return v.Dense()
	case []any:
		isView := func(e any) bool { _, ok := e.(*tensor.View); return ok }
		if !slices.ContainsFunc(v, isView) {
			return v
		}
		dense := make([]any, len(v))
		for i, e := range v {
			dense[i] = laidOut(e)
		}
		return dense
	}
	return v
}

func mismatch(field reflect.Value, v any) error {
	return Errorf("TypeError", "want %s, have %s", field.Type(), pyjson.TypeName(v))
}

func assignPointer(field reflect.Value, v any) error {
	if field.Type() == reflect.TypeFor[*big.Int]() {
		n, ok := integer(v)
		if !ok {
			return mismatch(field, v)
		}
		field.Set(reflect.ValueOf(n))
		return nil
	}
	if read, ok := reflect.New(field.Type().Elem()).Interface().(FromPlain); ok {
		switch v.(type) {
		case *pyjson.Object, pyjson.Instance:
			if err := read.FromPlain(v); err != nil {
				return typed(err)
			}
			field.Set(reflect.ValueOf(read))
			return nil
		}
	}
	if k := field.Type().Elem().Kind(); k == reflect.Struct || k == reflect.Interface {
		return mismatch(field, v)
	}
	p := reflect.New(field.Type().Elem())
	if err := assign(p.Elem(), v); err != nil {
		return err
	}
	field.Set(p)
	return nil
}

func assignList(field reflect.Value, l []any) error {
	s := reflect.MakeSlice(field.Type(), len(l), len(l))
	for i, e := range l {
		if err := assign(s.Index(i), e); err != nil {
			return fmt.Errorf("element %d: %w", i, err)
		}
	}
	field.Set(s)
	return nil
}

func assignBool(field reflect.Value, v any) error {
	n, ok := Number(normal(v))
	if !ok {
		return mismatch(field, v)
	}
	field.SetBool(n.Sign() != 0)
	return nil
}

func assignFloat(field reflect.Value, v any) error {
	switch v := normal(v).(type) {
	case float64:
		field.SetFloat(v)
		return nil
	case int64:
		field.SetFloat(float64(v))
		return nil
	case bool:
		field.SetFloat(boolFloat(v))
		return nil
	case *big.Int:
		f, _ := new(big.Float).SetInt(v).Float64()
		field.SetFloat(f)
		return nil
	}
	return mismatch(field, v)
}

func boolFloat(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// integer returns a whole number; floats count if they are whole.
func integer(v any) (*big.Int, bool) {
	switch v := normal(v).(type) {
	case int64:
		return big.NewInt(v), true
	case *big.Int:
		return v, true
	case bool:
		return big.NewInt(int64(boolFloat(v))), true
	case float64:
		if v == math.Trunc(v) && !math.IsInf(v, 0) {
			n, _ := big.NewFloat(v).Int(nil)
			return n, true
		}
	}
	return nil, false
}

func assignInt(field reflect.Value, v any) error {
	n, ok := integer(v)
	if !ok {
		return mismatch(field, v)
	}
	if !n.IsInt64() || field.OverflowInt(n.Int64()) {
		return Errorf("OverflowError", "%s does not fit in %s", n, field.Type())
	}
	field.SetInt(n.Int64())
	return nil
}

func assignUint(field reflect.Value, v any) error {
	n, ok := integer(v)
	if !ok {
		return mismatch(field, v)
	}
	if !n.IsUint64() || field.OverflowUint(n.Uint64()) {
		return Errorf("OverflowError", "%s does not fit in %s", n, field.Type())
	}
	field.SetUint(n.Uint64())
	return nil
}

// normal turns any Go number into the decoded JSON form, so that nodes may put plain ints on links.
func normal(v any) any {
	switch v.(type) {
	case int64, float64, bool, *big.Int, string, nil:
		return v
	}
	switch rv := reflect.ValueOf(v); rv.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32:
		return rv.Int()
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return new(big.Int).SetUint64(rv.Uint())
	case reflect.Float32:
		return rv.Float()
	}
	return v
}
