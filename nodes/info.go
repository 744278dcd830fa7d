package nodes

import "comfygo/internal/pyjson"

// Info returns the class as /object_info shows it.
func (c *Class) Info(env Env) *pyjson.Object {
	if c.foreign != nil {
		return c.foreign.info()
	}
	input := c.fields.info(env, c.V3)
	c.addHidden(input)
	order := pyjson.NewObject()
	for category, v := range input.All() {
		order.Set(category, v.(*pyjson.Object).Keys())
	}
	o := pyjson.NewObject("input", input, "input_order", order, "is_input_list", c.InputIsList)
	c.outputInfo(o)
	if c.V3 {
		return c.infoV3(o)
	}
	return c.infoV1(o)
}

// Infos returns every class of a registry by name, in order. Classes of other processes are as at the last Stamp: asking for each again
// takes minutes on a busy machine.
func (r *Registry) Infos(env Env) *pyjson.Object {
	o := pyjson.NewObject()
	r.Walk(func(c *Class) bool {
		if c.foreign != nil {
			o.Set(c.Name, c.foreign.Info)
		} else {
			o.Set(c.Name, c.Info(env))
		}
		return true
	})
	return o
}

// info lists the inputs by category, each as [type, options].
func (f *fieldSet) info(env Env, v3 bool) *pyjson.Object {
	o := pyjson.NewObject("required", pyjson.NewObject())
	for _, in := range f.inputs {
		category := "required"
		switch {
		case in.Hidden != "":
			continue
		case in.Optional:
			category = "optional"
		}
		if !o.Has(category) {
			o.Set(category, pyjson.NewObject())
		}
		typ, options := in.Config(env)
		entry := []any{typ, options}
		if !v3 && options.Len() == 0 && !in.opts {
			entry = entry[:1]
		}
		o.Object(category).Set(in.Name, entry)
	}
	return o
}

// addHidden lists the hidden inputs; the v3 schema wraps each kind in a list and gives prompt and extra_pnginfo to every output node.
func (c *Class) addHidden(input *pyjson.Object) {
	hidden := pyjson.NewObject()
	for _, in := range c.fields.inputs {
		if in.Hidden == "" {
			continue
		}
		if c.V3 {
			hidden.Set(in.Name, []any{in.Hidden})
		} else {
			hidden.Set(in.Name, in.Hidden)
		}
	}
	if c.V3 {
		for _, kind := range c.Hidden {
			hidden.Set(hiddenNames[kind], []any{kind})
		}
		if c.OutputNode {
			for _, kind := range []string{"PROMPT", "EXTRA_PNGINFO"} {
				hidden.Set(hiddenNames[kind], []any{kind})
			}
		}
	}
	if hidden.Len() > 0 {
		input.Set("hidden", hidden)
	}
}

// IsHiddenKind reports whether the executor has values for hidden inputs of a kind.
func IsHiddenKind(kind string) bool { return hiddenNames[kind] != "" }

var hiddenNames = map[string]string{
	"UNIQUE_ID": "unique_id", "PROMPT": "prompt", "EXTRA_PNGINFO": "extra_pnginfo", "DYNPROMPT": "dynprompt",
	"AUTH_TOKEN_COMFY_ORG": "auth_token_comfy_org", "API_KEY_COMFY_ORG": "api_key_comfy_org", "COMFY_USAGE_SOURCE": "comfy_usage_source",
}

func (c *Class) outputInfo(o *pyjson.Object) {
	types, lists, names := []any{}, []any{}, []any{}
	for _, out := range c.Outputs {
		var typ any = out.Type
		if out.Choices != nil {
			typ = out.Choices
		}
		name := typ
		if out.Name != "" {
			name = out.Name
		}
		var list any = out.List
		if out.ListUnset {
			list = nil
		}
		types, lists, names = append(types, typ), append(lists, list), append(names, name)
	}
	o.Set("output", types).Set("output_is_list", lists).Set("output_name", names)
}

func (c *Class) tooltips() (list []any, some bool) {
	list = []any{}
	for _, out := range c.Outputs {
		if out.Tooltip == "" {
			list = append(list, nil)
			continue
		}
		list, some = append(list, out.Tooltip), true
	}
	return list, some
}

func (c *Class) module() string {
	if c.Module == "" {
		return "nodes"
	}
	return c.Module
}

func (c *Class) category() string {
	if c.Category == "" && !c.NoCategory {
		return "sd"
	}
	return c.Category
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func (c *Class) infoV1(o *pyjson.Object) *pyjson.Object {
	display := c.DisplayName
	if display == "" {
		display = c.Name
	}
	o.Set("name", c.Name).Set("display_name", display).Set("description", c.Description).Set("python_module", c.module())
	o.Set("category", c.category()).Set("output_node", c.OutputNode).Set("has_intermediate_output", c.HasIntermediateOutput)
	if tips, some := c.tooltips(); some {
		o.Set("output_tooltips", tips)
	}
	for _, flag := range []struct {
		key string
		on  bool
	}{{"deprecated", c.Deprecated}, {"experimental", c.Experimental}, {"dev_only", c.DevOnly}, {"api_node", c.APINode}} {
		if flag.on {
			o.Set(flag.key, true)
		}
	}
	aliases := c.SearchAliases
	if aliases == nil {
		aliases = []string{}
	}
	o.Set("search_aliases", aliases)
	if c.EssentialsCategory != "" {
		o.Set("essentials_category", c.EssentialsCategory)
	}
	return o
}

func (c *Class) infoV3(o *pyjson.Object) *pyjson.Object {
	tips, _ := c.tooltips()
	o.Set("output_tooltips", tips).Set("output_matchtypes", c.matches()).Set("name", c.Name).Set("display_name", orNull(c.DisplayName))
	o.Set("description", c.Description).Set("python_module", c.module()).Set("category", c.category()).Set("output_node", c.OutputNode)
	o.Set("deprecated", c.Deprecated).Set("experimental", c.Experimental).Set("dev_only", c.DevOnly).Set("api_node", c.APINode)
	o.Set("price_badge", c.PriceBadge)
	if len(c.SearchAliases) > 0 {
		o.Set("search_aliases", c.SearchAliases)
	} else {
		o.Set("search_aliases", nil)
	}
	return o.Set("essentials_category", orNull(c.EssentialsCategory)).Set("has_intermediate_output", c.HasIntermediateOutput)
}

func (c *Class) matches() any {
	list, some := []any{}, false
	for _, out := range c.Outputs {
		if out.Match == "" {
			list = append(list, nil)
			continue
		}
		list, some = append(list, out.Match), true
	}
	if !some {
		return nil
	}
	return list
}
