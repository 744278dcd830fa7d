package patch

import "strings"

// role is what a tensor of an adapter file is to its layer.
type role uint8

const (
	roleUp role = iota
	roleDown
	roleMid
	roleAlpha
	roleDora
	roleReshape
	roleDiff
	roleDiffBias
	roleSet
	roleNormWeight
	roleNormBias
	roleW1A
	roleW1B
	roleW2A
	roleW2B
	roleT1
	roleT2
	roleK1
	roleK2
	roleK1A
	roleK1B
	roleK2A
	roleK2B
	roleKT2
	roleGA1
	roleGA2
	roleGB1
	roleGB2
	roleBlocks
	roleRescale
	roles // the number of roles
)

// spellings are the name endings that identify tensors in files. Factors of low rank have several spellings; a layer with
// more than one spelling takes the first of this list.
var spellings = []struct {
	ending string
	role   role
}{
	{".lora_up.weight", roleUp},
	{".lora_down.weight", roleDown},
	{".lora_mid.weight", roleMid},
	{"_lora.up.weight", roleUp},
	{"_lora.down.weight", roleDown},
	{".lora_B.weight", roleUp},
	{".lora_A.weight", roleDown},
	{".lora.up.weight", roleUp},
	{".lora.down.weight", roleDown},
	{".lora_B", roleUp},
	{".lora_A", roleDown},
	{".lora_linear_layer.up.weight", roleUp},
	{".lora_linear_layer.down.weight", roleDown},
	{".lora_B.default.weight", roleUp},
	{".lora_A.default.weight", roleDown},
	{".alpha", roleAlpha},
	{".dora_scale", roleDora},
	{".reshape_weight", roleReshape},
	{".diff", roleDiff},
	{".diff_b", roleDiffBias},
	{".set_weight", roleSet},
	{".w_norm", roleNormWeight},
	{".b_norm", roleNormBias},
	{".hada_w1_a", roleW1A},
	{".hada_w1_b", roleW1B},
	{".hada_w2_a", roleW2A},
	{".hada_w2_b", roleW2B},
	{".hada_t1", roleT1},
	{".hada_t2", roleT2},
	{".lokr_w1", roleK1},
	{".lokr_w2", roleK2},
	{".lokr_w1_a", roleK1A},
	{".lokr_w1_b", roleK1B},
	{".lokr_w2_a", roleK2A},
	{".lokr_w2_b", roleK2B},
	{".lokr_t2", roleKT2},
	{".a1.weight", roleGA1},
	{".a2.weight", roleGA2},
	{".b1.weight", roleGB1},
	{".b2.weight", roleGB2},
	{".oft_blocks", roleBlocks},
	{".rescale", roleRescale},
}

// parseName splits a tensor's name into its layer and its role. rank orders the spellings; ok is false for a name without
// a known ending.
func parseName(name string) (layer string, r role, rank int, ok bool) {
	for i, s := range spellings {
		if layer, ok = strings.CutSuffix(name, s.ending); ok && layer != "" {
			return layer, s.role, i, true
		}
	}
	return "", 0, 0, false
}
