export const greeting = (name) => `Dear ${name},`;
