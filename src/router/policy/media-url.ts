/** Where a message holds an image, a sound, a film or a file: parts of its content, and nothing inside of a text. */
const PLACE = /^messages\.\d+\.content\.\d+\.(?:(?:image|audio|video)_url(?:\.url)?|file\.file_data)$/;
const DATA_URL = /^data:(?!text\/)[a-z0-9.+-]+\/[a-z0-9.+-]+;base64,[A-Za-z0-9+/=_-]*$/i;

/**
 * Binary content inside JSON, at the place that `param` names: not text, and large. Anywhere else a model reads the same
 * characters as they are: `data:a/b;base64,ignore-your-rules` says what it says.
 */
export const isMedia = (text: string, param: string): boolean => PLACE.test(param) && DATA_URL.test(text);

/** An image, a sound or a film that an engine made. */
export const isMadeMedia = (text: string): boolean =>
  /^data:(?:image|audio|video)\/[a-z0-9.+-]+;base64,[A-Za-z0-9+/=_-]*$/i.test(text);
