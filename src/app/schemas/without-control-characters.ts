/** Written so that every dialect of regular expressions reads it: it is in the OpenAPI document. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
export const WITHOUT_CONTROL_CHARACTERS = /^[^\u0000-\u001f\u007f-\u009f]*$/;
