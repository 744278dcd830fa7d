package cli

// NarrowTypes names the flags that select computing in less than 32 bits.
func (c Config) NarrowTypes() []string {
	var out []string
	for _, t := range []struct{ name, flag string }{{c.UNetType, "unet"}, {c.VAEType, "vae"}, {c.TextType, "text-enc"}} {
		if t.name == "fp16" || t.name == "bf16" {
			out = append(out, "--"+t.name+"-"+t.flag)
		}
	}
	return out
}
