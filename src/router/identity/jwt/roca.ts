/**
 * Primes of the fingerprint in Nemec, Sys, Svenda, Klinec and Matyas, "The Return of Coppersmith's Attack:
 * Practical Factorization of Widely Used RSA Moduli", CCS 2017 (CVE-2017-15361).
 */
const PRIMES = [
  3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107,
  109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];
const GENERATOR = 65_537;

/** By prime: the remainders that a modulus made by the flawed library can leave, the powers of 65537. */
const SUBGROUPS = PRIMES.map((prime) => {
  const powers = new Set<number>();
  for (let power = 1; !powers.has(power); power = (power * GENERATOR) % prime) powers.add(power);
  return { prime: BigInt(prime), powers };
});

/** Whether an RSA modulus has the structure that makes it factorable. A sound one has it once in 2^27 or less. */
export function isFactorableModulus(modulus: Uint8Array): boolean {
  const value = BigInt(`0x${Buffer.from(modulus).toString('hex')}`);
  return SUBGROUPS.every(({ prime, powers }) => powers.has(Number(value % prime)));
}
