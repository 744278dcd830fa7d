package sampling

import "comfygo/engine/torchrand"

// Generator is torch's CPU random generator.
type Generator = torchrand.Generator

// NewGenerator returns a generator as torch.manual_seed leaves it: only the low 32 bits of the seed count.
func NewGenerator(seed uint64) *Generator { return torchrand.New(seed) }
