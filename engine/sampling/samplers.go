package sampling

// defaultSDE are upstream's defaults.
var defaultSDE = sdeSettings{eta: 1, strength: 1, ratio: 0.5}

// samplers are the samplers of the KSampler nodes, in upstream's order (KSAMPLER_NAMES and what follows it). The variants
// ending in _gpu draw their noise elsewhere upstream only when the model runs there; this program draws all noise on the
// CPU.
var samplers = []Sampler{
	{name: "euler", run: sampleEuler},
	{name: "euler_cfg_pp", run: sampleEulerCFGPP(0, 0), uncond: true},
	{name: "euler_ancestral", run: sampleEulerAncestral(1, 1)},
	{name: "euler_ancestral_cfg_pp", run: sampleEulerCFGPP(1, 1), uncond: true},
	{name: "heun", run: sampleHeun},
	{name: "heunpp2", run: sampleHeunPP2},
	{name: "exp_heun_2_x0", run: sampleSeeds2(0, 0, 1, true)},
	{name: "exp_heun_2_x0_sde", run: sampleSeeds2(1, 1, 1, true)},
	{name: "dpm_2", run: sampleDPM2},
	{name: "dpm_2_ancestral", run: sampleDPM2Ancestral},
	{name: "lms", run: sampleLMS(4)},
	{name: "dpm_fast", run: sampleDPMFast},
	{name: "dpm_adaptive", run: sampleDPMAdaptive(DefaultAdaptive)},
	{name: "dpmpp_2s_ancestral", run: sampleDPMPP2SAncestral(1, 1)},
	{name: "dpmpp_2s_ancestral_cfg_pp", run: sampleDPMPP2SCFGPP, uncond: true},
	{name: "dpmpp_sde", run: sampleDPMPPSDE(defaultSDE)},
	{name: "dpmpp_sde_gpu", run: sampleDPMPPSDE(defaultSDE)},
	{name: "dpmpp_2m", run: sampleDPMPP2M},
	{name: "dpmpp_2m_cfg_pp", run: sampleDPMPP2MCFGPP, uncond: true},
	{name: "dpmpp_2m_sde", run: sampleDPMPP2MSDE(false, defaultSDE)},
	{name: "dpmpp_2m_sde_gpu", run: sampleDPMPP2MSDE(false, defaultSDE)},
	{name: "dpmpp_2m_sde_heun", run: sampleDPMPP2MSDE(true, defaultSDE)},
	{name: "dpmpp_2m_sde_heun_gpu", run: sampleDPMPP2MSDE(true, defaultSDE)},
	{name: "dpmpp_3m_sde", run: sampleDPMPP3MSDE(defaultSDE)},
	{name: "dpmpp_3m_sde_gpu", run: sampleDPMPP3MSDE(defaultSDE)},
	{name: "ddpm", run: sampleDDPM},
	{name: "lcm", run: sampleLCM(1, 1, 0)},
	{name: "ipndm", run: sampleIPNDM},
	{name: "ipndm_v", run: sampleIPNDMV},
	{name: "deis", run: sampleDEIS},
	{name: "res_multistep", run: sampleResMultistep(0, false)},
	{name: "res_multistep_cfg_pp", run: sampleResMultistep(0, true), uncond: true},
	{name: "res_multistep_ancestral", run: sampleResMultistep(1, false)},
	{name: "res_multistep_ancestral_cfg_pp", run: sampleResMultistep(1, true), uncond: true},
	{name: "gradient_estimation", run: sampleGradientEstimation(false)},
	{name: "gradient_estimation_cfg_pp", run: sampleGradientEstimation(true), uncond: true},
	{name: "er_sde", run: sampleERSDE(erSettings{scale: erScale(1), strength: 1, stages: 3})},
	{name: "seeds_2", run: sampleSeeds2(1, 1, 0.5, false)},
	{name: "seeds_3", run: sampleSeeds3},
	{name: "sa_solver", run: sampleSASolver(false, nil)},
	{name: "sa_solver_pece", run: sampleSASolver(true, nil)},
	{name: "ddim", run: sampleEuler, freshInpaint: true},
	{name: "uni_pc", run: sampleUniPC(false)},
	{name: "uni_pc_bh2", run: sampleUniPC(true)},
}
