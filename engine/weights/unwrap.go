package weights

import "strings"

// Wrappers are the names under which trainers put the weights, beside other weights or things that are not weights. The
// averaged weights, which are better, come before the original ones.
var Wrappers = []string{
	"state_dict", "params_ema", "params-ema", "params", "model_state_dict", "model", "net", "netG", "module", "_orig_mod",
}

// maxUnwrap bounds the wrapper levels that Unwrap takes off.
const maxUnwrap = 4

// Unwrap returns the views of src in which a model may be found, the likeliest first: src as it is, then src below each
// wrapper that its names begin with ("module.", "net." and so on, see Wrappers), then below two of them, and so on.
// Closing a view closes nothing.
func Unwrap(src Source) []Source {
	views := []Source{src}
	for at, depth := 0, 0; depth < maxUnwrap; depth++ {
		level := len(views)
		for ; at < level; at++ {
			views = append(views, below(views[at])...)
		}
	}
	return views
}

// below returns the views of src one wrapper further down.
func below(src Source) []Source {
	present := map[string]bool{}
	for _, n := range src.Names() {
		if top, _, ok := strings.Cut(n, "."); ok {
			present[top] = true
		}
	}
	var out []Source
	for _, w := range Wrappers {
		if present[w] {
			out = append(out, Sub(src, w+"."))
		}
	}
	return out
}
