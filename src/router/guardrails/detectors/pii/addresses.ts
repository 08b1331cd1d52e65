import { isIP } from 'node:net';
import type { Add } from '#router/guardrails/detectors/pii/detect-structured.ts';
import { TOP_LEVEL_DOMAINS } from '#router/guardrails/detectors/pii/top-level-domains.ts';

/** An @, also as URLs and HTML write it. */
const hasAt = (text: string): boolean => text.includes('@') || text.includes('%40') || text.includes('&#');
const EMAIL =
  /(?<![\p{L}\p{N}._%+-])(?:"[^"\s@]{1,31}(?: [^"\s@]{1,31})?"|[\p{L}\p{N}_+](?:[\p{L}\p{N}._%+'-]{0,62}[\p{L}\p{N}_+-])?)(?:@|%40|&#0{0,4}64;|&#x0{0,4}40;)(?:[\p{L}\p{N}](?:[\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?\.){1,6}(?:xn--[a-z0-9-]{2,59}|\p{L}{2,24})(?![\p{L}\p{N}-])/giu;
/** "ann (at) example (dot) org", with round, square or curly brackets. */
const SPELT_AT = /[([{] ?(?:at|ät|arroba) ?[)\]}]/i;
const SPELT_EMAIL =
  /(?<![\p{L}\p{N}._+-])[\p{L}\p{N}][\p{L}\p{N}._+-]{0,62} ?[([{] ?(?:at|ät|arroba) ?[)\]}] ?(?:[\p{L}\p{N}-]{1,63}(?:\.| ?[([{] ?(?:dot|punkt|punto|point) ?[)\]}] ?)){1,5}\p{L}{2,24}(?![\p{L}\p{N}-])/giu;
/** Pictures of twice the size, files, and the remotes of git. */
const NO_EMAIL = /@\d+x\.|\.(?:png|jpe?g|gif|svg|webp|avif|ico|[cm]?[jt]sx?|css|json|html|lock)$/i;
const GIT_REMOTE = /^git@/i;

const URL = /(?<![A-Za-z0-9])(?:https?|ftp|wss?):\/\/[^\s<>"'`{}|\\^]{3,2048}/gi;
const DOMAIN =
  /(?<![A-Za-z0-9@._/-])(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,5}([A-Za-z]{2,18})(?![A-Za-z0-9@(-]|\.[A-Za-z0-9])/g;

/** A phone in an address that opens a chat or dials. */
const LINKED_DIGITS = /[/:]\+?\d{8}/;
const PHONE_LINK = /\b(?:wa\.me\/|tel:|sms:|callto:)\+?(\d{8,15})(?!\d)/gi;

const IPV4 = /(?<![\d.A-Za-z])(?:\d{1,3}\.){3}\d{1,3}(?![\dA-Za-z]|\.\d)/gi;
const IPV6 =
  /(?<![0-9A-Za-z:.])(?:(?:ip|ipv6|addr|address|host|client|src|dst|from|to):)?((?:[0-9a-f]{0,4}:){2,7}(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9a-f]{1,4})?)(?![0-9A-Za-z:]|\.\d)/gi;
/** Versions, sections and object identifiers have four numbers too. */
const VERSION_BEFORE =
  /(?:(?:version|firmware|release|build|assembly|driver|section|chapter|paragraph|oid|object identifier|\bv|§)(?: ?(?:is|no\.?|number|=|:))?[^\p{L}\p{N}]{0,3}|(?:==|>=|<=|~=|!=)\s?["']?|[~^])$/iu;
/** Of this machine, of nobody, of whole networks: masks, broadcasts and what ends in three zeros. */
const NOBODYS = /^(?:127\.|0\.0\.0\.0$|255\.)|\.0\.0\.0$/;
const BEFORE_ADDRESS = 24;

export function addEmails(text: string, add: Add): void {
  if (hasAt(text)) {
    for (const { 0: email, index } of text.matchAll(EMAIL)) {
      const isRemote = GIT_REMOTE.test(email) && text[index + email.length] === ':';
      if (!isRemote && !NO_EMAIL.test(email)) add('email', index, email.length, 0.97);
    }
  }
  if (SPELT_AT.test(text))
    for (const match of text.matchAll(SPELT_EMAIL)) add('email', match.index, match[0].length, 0.9);
}

export function addUrls(text: string, add: Add): void {
  if (LINKED_DIGITS.test(text)) {
    for (const { 0: link, 1: phone = '', index } of text.matchAll(PHONE_LINK))
      add('phone', index + link.length - phone.length, phone.length, 0.9);
  }
  if (text.includes('://')) {
    for (const match of text.matchAll(URL)) add('url', match.index, withoutTail(match[0]).length, 0.9);
  }
  if (text.includes('.')) {
    for (const match of text.matchAll(DOMAIN)) {
      if (TOP_LEVEL_DOMAINS.has((match[1] ?? '').toLowerCase()))
        add('url', match.index, match[0].length, 0.7);
    }
  }
}

export function addIpAddresses(text: string, add: Add): void {
  if (text.includes('.')) {
    for (const { 0: address, index } of text.matchAll(IPV4)) {
      const before = text.slice(Math.max(0, index - BEFORE_ADDRESS), index);
      if (isIP(address) === 4 && !NOBODYS.test(address) && !VERSION_BEFORE.test(before))
        add('ip_address', index, address.length, 0.9);
    }
  }
  if (text.includes(':')) {
    for (const { 0: match, 1: address = '', index } of text.matchAll(IPV6)) {
      if (isIP(address) === 6 && address.length > 4)
        add('ip_address', index + match.length - address.length, address.length, 0.9);
    }
  }
}

/** Closing marks after an address belong to the sentence. */
const withoutTail = (url: string): string => url.replace(/[.,;:!?)\]}'"]+$/, '');
