/** German, whose nouns all have capitals, and other languages of Europe: with personal data, and without. */
export const FOREIGN_TEMPLATES: readonly string[] = [
  '{Mein Name ist|Ich heiße|Ich bin|Hier ist} <person>{.| und ich wohne in <city>.| aus <city>.| und ich habe eine Frage zu meiner Rechnung.}',
  '{Sehr geehrter Herr|Sehr geehrte Frau|Liebe Frau|Lieber Herr} <last>,\n{vielen Dank für Ihre Nachricht|anbei erhalten Sie die Rechnung|Ihr Termin ist am <day_date>}.',
  '{Mit freundlichen Grüßen|Viele Grüße|Beste Grüße|Herzliche Grüße}{,|}\n<person>{\n<organization>|\n<address>|}',
  '{Bitte|Können Sie} {das Paket|die Rechnung|den Vertrag} {an|nach} <address> {schicken|senden|liefern}{.|?}',
  '<person> {arbeitet|wohnt|lebt} {bei <organization>|in <city>}{.| seit <year>.}',
  'Die {Lieferung|Bestellung|Versicherung|Wohnung} von <person> {ist angekommen|wurde storniert|kostet <amount>}.',
  '{Rufen Sie|Fragen Sie} {Frau|Herrn} <last> {unter <phone> an|bei <organization>|nach dem Schlüssel}.',
  "{Je m'appelle|Je suis|C'est} <person>{.| et j'habite à <city>.|, j'ai une question.}",
  '{Madame|Monsieur|Chère Madame|Cher Monsieur} <last>, {merci pour votre message|votre rendez-vous est le <day_date>}.',
  '{Me llamo|Soy|Mi nombre es} <person>{.| y vivo en <city>.|, tengo una pregunta.}',
  '{Mi chiamo|Sono|Il mio nome è} <person>{.| e abito a <city>.|, ho una domanda.}',
  '{Meu nome é|Sou|Chamo-me} <person>{.| e moro em <city>.}',
  '{Ik ben|Mijn naam is|Ik heet} <person>{.| en ik woon in <city>.}',
];

export const FOREIGN_PLAIN_TEMPLATES: readonly string[] = [
  '{Die|Eine|Diese|Unsere|Meine|Ihre} {Rechnung|Bestellung|Datei|Lösung|Wohnung|Frage|Antwort|Funktion|Zeitung|Stadt|Küche|Maschine|Reise|Verbindung|Anwendung} {ist|war|wird|bleibt} {fertig|zu teuer|neu|verfügbar|nicht möglich|geschlossen}.',
  '{Der|Ein|Dieser|Unser|Mein|Ihr} {Vertrag|Rechner|Fehler|Server|Termin|Bericht|Kunde|Preis|Baum|Tisch|Zug|Brief|Schlüssel|Benutzer|Speicher} {ist|war|kostet|braucht|enthält} {<amount>|eine Pause|drei Seiten|zu alt|zu langsam|kaputt}.',
  '{Das|Ein|Dieses|Unser|Mein} {Haus|Programm|Ergebnis|Konto|Paket|Wetter|Problem|Kind|Buch|Fenster|Formular|Gerät|Passwort|Update} {ist|war|hat|braucht} {keine Eile|gut|Zeit|schon da|falsch|nicht gefunden}.',
  '{Wie|Warum|Wann|Wo|Was} {kann|muss|soll|darf} {ich|man} {das Passwort|die Datei|den Vertrag|mein Konto|die Einstellung} {ändern|löschen|kündigen|finden|öffnen}?',
  '{Bitte|Zuerst|Danach|Anschließend} {die Butter|den Zucker|das Mehl|die Schraube|den Deckel|die Taste} {mit|in|auf} {dem Wasser|die Schüssel|der Gabel|das Blech|den Knopf} {geben|drehen|legen|drücken|verrühren}.',
  '{Im Vergleich zum Vorjahr|In der Regel|Zum Beispiel|Auf der anderen Seite|Im Rahmen der Prüfung} {steigt der Umsatz|sinkt die Nachfrage|gilt das Gesetz|fehlt der Nachweis|bleibt die Miete gleich}.',
  '{Hauptspeicher|Datenbank|Schnittstelle|Benutzerkonto|Zeitüberschreitung|Umgebungsvariable|Fehlermeldung|Anmeldung|Warteschlange|Zugriffsrechte} {und|oder|für|ohne} {Dokumentation|Sicherung|Verschlüsselung|Anwendung|Netzwerk|Betriebssystem|Einrichtung}{.|:|}',
  '{Guten Tag|Hallo|Moin|Guten Morgen}, {ich habe eine Frage zur Lieferung|mein Gerät startet nicht|wo finde ich die Anleitung|das Paket ist noch nicht da}{.|?}',
  'Die {Freiheit|Gesundheit|Wissenschaft|Wirtschaft|Regierung|Bildung|Forschung} {braucht|fördert|kennt} {Mut|Geld|Vertrauen|Vielfalt|Grenzen|Regeln}, {sagt das Sprichwort|steht im Bericht|meint die Zeitung}.',
  '{Le contrat|La facture|Le paquet|La réunion|Le fichier|La réponse} {est|était|sera} {en retard|prêt|terminé|disponible demain|trop cher}.',
  '{Comment|Pourquoi|Quand|Où} {puis-je|faut-il|peut-on} {changer le mot de passe|ouvrir un compte|payer la facture|trouver le fichier} ?',
  '{El contrato|La factura|El paquete|La reunión|El archivo} {está|estaba|será} {listo|tarde|disponible mañana|roto|cerrado}.',
  '¿{Cómo|Por qué|Cuándo|Dónde} {puedo|se puede|debo} {cambiar la contraseña|abrir una cuenta|pagar la factura|encontrar el archivo}?',
  '{Il contratto|La fattura|Il pacco|La riunione} {è|era|sarà} {pronto|in ritardo|disponibile domani|chiuso}.',
  '{Het contract|De factuur|Het pakket|De vergadering} {is|was|wordt} {klaar|te laat|gesloten|niet gevonden}.',
];
