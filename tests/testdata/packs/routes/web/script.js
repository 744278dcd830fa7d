export const name = "packroutes";
