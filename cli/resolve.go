package cli

// relate applies what one flag means for another, as upstream does behind its parser.
func (ns namespace) relate() error {
	if len(ns.reals("cache_ram")) > 2 {
		return usagef("--cache-ram accepts at most two values: active GB and inactive GB")
	}
	if ns.real("python_memory") < 0 || ns.real("python_load_timeout") < 0 {
		return usagef("--python-memory and --python-load-timeout must not be negative")
	}
	if err := ns.relateAuth(); err != nil {
		return err
	}
	if err := ns.relateFleet(); err != nil {
		return err
	}
	imply := func(given, meant string) {
		if ns.on(given) {
			ns[meant] = true
		}
	}
	imply("high_ram", "cache_classic")
	imply("windows_standalone_build", "auto_launch")
	imply("force_fp16", "fp16_unet")
	imply("enable_manager_legacy_ui", "enable_manager")
	if ns.on("disable_auto_launch") {
		ns["auto_launch"] = false
	}
	return nil
}

// config reads the namespace, after relate, into the one struct that the program is built from.
func (ns namespace) config() Config {
	c := Config{
		Listen:            ns.text("listen"),
		Port:              ns.number("port"),
		TLSKeyFile:        ns.text("tls_keyfile"),
		TLSCertFile:       ns.text("tls_certfile"),
		CORSOrigin:        ns.text("enable_cors_header"),
		MaxUploadSize:     ns.real("max_upload_size"),
		CompressResponses: ns.on("enable_compress_response_body"),
		AutoLaunch:        ns.on("auto_launch"),
		PrintServer:       !ns.on("dont_print_server"),
		ListFeatureFlags:  ns.on("list_feature_flags"),
		FeatureFlags:      ns.texts("feature_flag"),
		QuickTestForCI:    ns.on("quick_test_for_ci"),
		Verbose:           ns.logs("verbose"),
		LogFormat:         ns.text("log_format"),
		LogStdout:         ns.on("log_stdout"),
		DebugHang:         ns.on("debug_hang"),
		DemoModel:         ns.on("demo_model"),
		Python:            ns.text("python"),
		ComfyUI:           ns.text("comfyui"),
		NoCore:            ns.on("no_python_core"),
		PythonClasses:     ns.texts("python_class"),
		Isolate:           ns.on("isolate_packs"),
		HostUser:          ns.text("host_user"),
		HostMemory:        ns.real("python_memory"),
		LoadTimeout:       ns.real("python_load_timeout"),
		FFmpeg:            ns.text("ffmpeg"),
		NoModels:          ns.on("no_models"),
		CUDAGraphs:        ns.on("cuda_graphs"),
		CPUInt8:           ns.on("cpu_int8"),
		NoAMX:             ns.on("no_amx"),
		ONNXRuntime:       ns.text("onnxruntime"),
		Threads:           ns.number("threads"),
		ModelMemory:       ns.real("model_memory"),
		MaxMemory:         ns.real("max_memory"),
		APIKeys:           ns.texts("api_key"),
		APIKeyFile:        ns.text("api_key_file"),
	}
	ns.auth(&c)
	ns.queue(&c)
	ns.folders(&c)
	ns.devices(&c)
	ns.execution(&c)
	return c
}

func (ns namespace) queue(c *Config) {
	c.Queue = ns.text("queue")
	c.Role = ns.text("role")
	c.Workers = ns.text("workers")
	c.WorkerLabels = ns.texts("worker_label")
	c.QueueModelWait = ns.real("queue_model_wait")
	c.WorkerLease = ns.real("worker_lease")
	c.QueueCredentials = ns.text("queue_credentials")
	c.QueueCA = ns.text("queue_ca")
	c.QueueReplicas = ns.number("queue_replicas")
	c.Files = ns.text("files")
	c.FilesEndpoint = ns.text("files_endpoint")
	c.FilesRegion = ns.text("files_region")
	c.QueueFile = ns.text("queue_file")
	c.QueueSync = ns.text("queue_sync")
	c.QueueOnRestart = ns.text("queue_on_restart")
	c.QueueLimit = ns.number("queue_limit")
	c.QueueClientLimit = ns.number("queue_client_limit")
	c.QueueFair = ns.on("queue_fair")
	c.QueueWeights = ns.texts("queue_weight")
	c.QueueKeep = ns.number("queue_keep")
	c.QueueKeepDays = ns.real("queue_keep_days")
	c.JobTimeLimit = ns.real("job_time_limit")
	c.DrainTimeout = ns.real("drain_timeout")
	c.StuckAfter = ns.real("health_stuck_after")
	c.AllowedHosts = ns.texts("allowed_hosts")
	c.WebhookAllow = ns.texts("webhook_allow")
	c.OTLPEndpoint = ns.text("otlp_endpoint")
}

func (ns namespace) folders(c *Config) {
	c.BaseDirectory = ns.text("base_directory")
	c.OutputDirectory = ns.text("output_directory")
	c.TempDirectory = ns.text("temp_directory")
	c.InputDirectory = ns.text("input_directory")
	c.UserDirectory = ns.text("user_directory")
	c.ModelsDirectory = ns.text("models_directory")
	c.ExtraModelPaths = ns.texts("extra_model_paths_config")
	c.MultiUser = ns.on("multi_user")
	c.DatabaseURL = ns.text("database_url")
	c.EnableAssets = ns.on("enable_assets")
	c.EnableAssetHash = ns.on("enable_asset_hashing")
	c.HashFunction = ns.text("default_hashing_function")
	c.DisableMetadata = ns.on("disable_metadata")
	c.DisableCustom = ns.on("disable_all_custom_nodes")
	c.WhitelistCustom = ns.texts("whitelist_custom_nodes")
	c.DisableAPINodes = ns.on("disable_api_nodes")
	c.FrontEndVersion = ns.text("front_end_version")
	c.FrontEndRoot = ns.text("front_end_root")
	c.FrontEndPackages = ns.text("front_end_packages")
	c.ComfyAPIBase = ns.text("comfy_api_base")
	c.EnableManager = ns.on("enable_manager")
	c.ManagerUI = !ns.on("disable_manager_ui")
	c.ManagerLegacyUI = ns.on("enable_manager_legacy_ui")
}

func (ns namespace) devices(c *Config) {
	c.CPU = ns.on("cpu")
	c.CUDADevice = ns.text("cuda_device")
	c.DefaultDevice = ns.numberIfGiven("default_device")
	c.DirectML = ns.numberIfGiven("directml")
	c.VRAM = VRAMMode(ns.firstOn("gpu_only", "gpu-only", "highvram", "high", "lowvram", "low", "novram", "none"))
	if c.VRAM == "" {
		c.VRAM = VRAMNormal
	}
	c.ReserveVRAM = ns.realIfGiven("reserve_vram")
	c.VRAMHeadroom = ns.real("vram_headroom")
	c.NoPinned = ns.on("disable_pinned_memory")
	c.ForceFP32 = ns.on("force_fp32")
	c.ForceFP16 = ns.on("force_fp16")
	c.UNetType = ns.firstOn("fp32_unet", "fp32", "fp64_unet", "fp64", "bf16_unet", "bf16", "fp16_unet", "fp16",
		"fp8_e4m3fn_unet", "fp8_e4m3fn", "fp8_e5m2_unet", "fp8_e5m2", "fp8_e8m0fnu_unet", "fp8_e8m0fnu")
	c.VAEType = ns.firstOn("fp16_vae", "fp16", "fp32_vae", "fp32", "bf16_vae", "bf16")
	c.TextType = ns.firstOn("fp8_e4m3fn_text_enc", "fp8_e4m3fn", "fp8_e5m2_text_enc", "fp8_e5m2",
		"fp16_text_enc", "fp16", "fp32_text_enc", "fp32", "bf16_text_enc", "bf16")
	c.VAEOnCPU = ns.on("cpu_vae")
	c.FP16Between = ns.on("fp16_intermediates")
	c.SmartMemory = !ns.on("disable_smart_memory")
	c.Mmap = !ns.on("disable_mmap")
	c.Deterministic = ns.on("deterministic")
	c.Fast = ns.texts("fast")
}

func (ns namespace) execution(c *Config) {
	c.CacheRAM = ns.reals("cache_ram")
	c.CacheLRU = ns.number("cache_lru")
	c.HighRAM = ns.on("high_ram")
	c.PreviewMethod = ns.text("preview_method")
	c.PreviewSize = ns.number("preview_size")
	switch {
	case ns.on("cache_classic"):
		c.Cache = CacheClassic
	case c.CacheLRU > 0:
		c.Cache = CacheLRU
	case ns.on("cache_none"):
		c.Cache = CacheNone
	default:
		c.Cache = CacheRAMPressure
	}
}
