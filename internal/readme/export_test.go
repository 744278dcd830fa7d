package readme

// Modules are those that groups name.
func Modules() []string {
	var out []string
	for _, g := range groups {
		out = append(out, g.modules...)
	}
	return out
}
