package sampling

// samplers are those of the KSampler nodes, in upstream's order.
var samplers = []sampler{
	{name: "euler", run: sampleEuler},
	{name: "ddim", run: sampleEuler, freshInpaint: true},
}
