package minimaxh3

import (
	"regexp"
	"strconv"
)

// The layers of the decoder that BigVGAN calls otherwise: activations of a block are counted through.
var (
	nameUp         = regexp.MustCompile(`^decoder\.ups\.(\d+)\.0\.`)
	nameActivation = regexp.MustCompile(`^(decoder\.resblocks\.\d+)\.activations\.(\d+)\.`)
	nameLast       = regexp.MustCompile(`^decoder\.activation_post\.`)
)

// generatorName is the name by which ltxaudio.BigVGAN takes a tensor.
func generatorName(name string) string {
	if m := nameActivation.FindStringSubmatch(name); m != nil {
		i, _ := strconv.Atoi(m[2])
		return m[1] + ".acts" + strconv.Itoa(i%2+1) + "." + strconv.Itoa(i/2) + "." + name[len(m[0]):]
	}
	name = nameUp.ReplaceAllString(name, "decoder.ups.$1.")
	return nameLast.ReplaceAllString(name, "decoder.act_post.")
}
